"""What is studied: benchmarks, the abacus world, study files, prompt templates, bundled models."""
