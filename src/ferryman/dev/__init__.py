"""`ferryman dev` and `ferryman top`: what the extra `ferryman[dev]` brings to a developer's machine."""
