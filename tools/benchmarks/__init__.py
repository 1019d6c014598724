"""What `actiondet benchmark` measures, one kind a module."""
