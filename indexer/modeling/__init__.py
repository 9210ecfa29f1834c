"""Networks as plain modules: tensors in, tensors out. Nothing here reads files or knows a tag's name."""
