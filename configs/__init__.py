"""The configurations, installed as `actiondet.configs`: the zoo."""
