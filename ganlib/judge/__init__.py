"""Judge a GAN: metrics, the feature extractors that they use, evaluation, and the doctor."""
