"""Models: one small file a provider. ``base`` says what a model is."""
