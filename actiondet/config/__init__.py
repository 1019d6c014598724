"""Configuration: a typed schema, YAML files with `base:`, `key=value` arguments."""

from actiondet.config.choice import Choice, Settings
from actiondet.config.compare import differing_settings
from actiondet.config.load import dump_config, json_schema, load_config, parse_config
from actiondet.config.networks import BackboneConfig, DetectorConfig, HeadConfig, RecognizerConfig
from actiondet.config.plain_yaml import ConfigError
from actiondet.config.schema import DetectionConfig, DetectionDataConfig, PersonsConfig

__all__ = [
    "BackboneConfig",
    "Choice",
    "ConfigError",
    "DetectionConfig",
    "DetectionDataConfig",
    "DetectorConfig",
    "HeadConfig",
    "PersonsConfig",
    "RecognizerConfig",
    "Settings",
    "differing_settings",
    "dump_config",
    "json_schema",
    "load_config",
    "parse_config",
]
