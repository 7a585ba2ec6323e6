"""The ten stages, one file each; they know the state, never each other."""
