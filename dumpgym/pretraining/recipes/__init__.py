"""One recipe per file, named after the environments of its texts. Each is registered under the name of its model."""
