"""What CLSR is compared with: the losses that people train joint spaces of sounds and sentences with."""
