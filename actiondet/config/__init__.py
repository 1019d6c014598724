"""Configuration: a typed schema, YAML files with `base:`, `key=value` arguments."""

from actiondet.config.choice import Choice, Settings
from actiondet.config.compare import differing_settings, setting_table
from actiondet.config.data_sets import DetectionDataConfig
from actiondet.config.load import (
    dump_config,
    import_modules,
    json_schema,
    load_config,
    load_config_by_task,
    load_config_of,
    load_recognition_config,
    parse_config,
    parse_config_of,
)
from actiondet.config.networks import BackboneConfig, DetectorConfig, HeadConfig, RecognizerConfig
from actiondet.config.plain_yaml import ConfigError
from actiondet.config.recognition import RecognitionConfig, VideoDataConfig
from actiondet.config.schema import DetectionConfig, PersonsConfig

__all__ = [
    "BackboneConfig",
    "Choice",
    "ConfigError",
    "DetectionConfig",
    "DetectionDataConfig",
    "DetectorConfig",
    "HeadConfig",
    "PersonsConfig",
    "RecognitionConfig",
    "RecognizerConfig",
    "Settings",
    "VideoDataConfig",
    "differing_settings",
    "dump_config",
    "import_modules",
    "json_schema",
    "load_config",
    "load_config_by_task",
    "load_config_of",
    "load_recognition_config",
    "parse_config",
    "parse_config_of",
    "setting_table",
]
