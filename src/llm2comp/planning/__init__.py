"""What a training step needs of a device's memory, known before any weight is loaded."""
