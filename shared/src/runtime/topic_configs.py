"""Settings of topics, read and changed one by one.

aiokafka's admin client has AlterConfigs only, which replaces all settings of a topic and so removes those
that an operator made. IncrementalAlterConfigs (KIP-339, brokers from 2.3 on) changes those that are named.
Its request is defined here through aiokafka's protocol classes, as aiokafka defines its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

_SET = 0
_SOURCE_TOPIC = 1  # DYNAMIC_TOPIC_CONFIG: set on the topic itself, not inherited from the broker


class IncrementalAlterConfigsResponse_v0(Response):  # type: ignore[misc] # noqa: N801 - as aiokafka names them
    """One error code for each resource; 0 when it was changed."""

    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class IncrementalAlterConfigsRequest_v0(RequestStruct):  # type: ignore[misc] # noqa: N801
    """For each resource, what to do to which setting."""

    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = IncrementalAlterConfigsResponse_v0
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(
                        ("name", String("utf-8")),
                        ("config_operation", Int8),
                        ("value", String("utf-8")),
                    ),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class IncrementalAlterConfigsRequest(Request[IncrementalAlterConfigsRequest_v0]):  # type: ignore[misc]
    """Changes named settings and leaves all others as they are."""

    API_KEY = 44

    def __init__(self, resources: Sequence[tuple[int, str, list[tuple[str, int, str]]]]) -> None:
        """Take (resource type, name, [(setting, operation, value)])."""
        self._resources = list(resources)

    def build(
        self, request_struct_class: type[IncrementalAlterConfigsRequest_v0]
    ) -> IncrementalAlterConfigsRequest_v0:
        """Return the request of the version that the broker understands; called by aiokafka."""
        return request_struct_class(self._resources, False)


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as it holds for a topic; `own` when it was made on the topic itself."""

    value: str | None
    own: bool


async def read_settings(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, dict[str, Setting]]:
    """Return every setting of each topic, those inherited from the broker included. Raises KafkaError."""
    if not topics:
        return {}
    answers = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
    )
    found: dict[str, dict[str, Setting]] = {}
    for answer in answers:
        inherits_flag = answer.API_VERSION == 0
        for code, message, _, name, entries in answer.resources:
            _raise_for(code, message, f"the settings of {name} cannot be read")
            found[name] = {
                entry[0]: Setting(entry[1], own=not entry[3] if inherits_flag else entry[3] == _SOURCE_TOPIC)
                for entry in entries
            }
    return found


async def set_settings(admin: AIOKafkaAdminClient, topic: str, settings: Mapping[str, str]) -> None:
    """Set these settings of a topic, and leave its others as they are.

    Raises ValueError when the broker refuses one, KafkaError when it cannot be asked.
    """
    changes = [(name, _SET, value) for name, value in settings.items()]
    request = IncrementalAlterConfigsRequest([(ConfigResourceType.TOPIC.value, topic, changes)])
    answer: Any = await admin._send_request(request)  # noqa: SLF001 - the client has no public way to send one
    for code, message, _, name in answer.responses:
        _raise_for(code, message, f"the broker refused settings of topic {name}")


def _raise_for(code: int, message: str | None, what: str) -> None:
    error = for_code(code)
    if code:
        if getattr(error, "retriable", False):
            raise error(message)
        raise ValueError(f"{what}: {message or error.__name__}")
