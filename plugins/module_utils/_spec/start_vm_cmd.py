# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ZStack's StartVmCmd, the JSON document that its management node sends, as one entry of C(vms).

Only the form is changed here: names, the addons bag, booleans sent as text. Values are validated by
C(_spec.parse), for documents and playbooks alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Union

from .arguments import VM_ARGUMENT_SPEC
from .input_bounds import first, problem_of_data, problem_of_json
from .option_values import kind_of, shown, shown_name


class _Nested(NamedTuple):
    """A field with nested fields: the option that takes it, and its fields."""

    option: str
    fields: Mapping[str, Any]


# Field to option; None for fields that ZStack's agent ignores.
_Fields = Mapping[str, Union[str, None, _Nested]]

_MONITOR: _Fields = {"hostname": "hostname", "port": "port"}

_VOLUME: _Fields = {
    "installPath": "install_path",
    "deviceId": "device_id",
    "deviceType": "device_type",
    "volumeUuid": "volume_uuid",
    "useVirtio": "use_virtio",
    "useVirtioSCSI": "use_virtio_scsi",
    "shareable": "shareable",
    "cacheMode": "cache_mode",
    "wwn": "wwn",
    "monInfo": _Nested("mon_info", _MONITOR),
    "secretUuid": "secret_uuid",
    "chapUsername": "chap_username",
    "chapPassword": "chap_password",
}

_CDROM: _Fields = {
    "path": "path",
    "imageUuid": "image_uuid",
    "deviceId": "device_id",
    "monInfo": _Nested("mon_info", _MONITOR),
    "secretUuid": "secret_uuid",
}

_NIC: _Fields = {
    "mac": "mac",
    "ip": "ip",
    "bridgeName": "bridge_name",
    "uuid": "uuid",
    "nicInternalName": "nic_internal_name",
    "deviceId": "device_id",
    "useVirtio": None,
}

_VM: _Fields = {
    "vmInstanceUuid": "uuid",
    "vmName": "name",
    "vmInternalId": "internal_id",
    "hostManagementIp": "host_management_ip",
    "memory": "memory",
    "maxMemory": None,
    "cpuNum": "cpu_num",
    "socketNum": "socket_num",
    "cpuOnSocket": "cpu_on_socket",
    "cpuSpeed": "cpu_speed",
    "useNuma": "use_numa",
    "nestedVirtualization": "nested_virtualization",
    "kvmHiddenState": "kvm_hidden_state",
    "clock": "clock",
    "bootDev": "boot_dev",
    "useBootMenu": "use_boot_menu",
    "useVirtio": "use_virtio",
    "rootVolume": _Nested("root_volume", _VOLUME),
    "dataVolumes": _Nested("data_volumes", _VOLUME),
    "bootIso": _Nested("boot_iso", _CDROM),
    "nics": _Nested("nics", _NIC),
    "consoleMode": "console_mode",
    "consolePassword": "console_password",
    "videoType": "video_type",
    "VDIMonitorNumber": "vdi_monitor_number",
    "spiceStreamingMode": "spice_streaming_mode",
    "usbRedirect": "usb_redirect",
    "timeout": "timeout",
    "instanceOfferingOnlineChange": None,
}

_ADDONS: _Fields = {
    "channel": _Nested("channels", {"socketPath": "socket_path", "targetName": "target_name"}),
    "pciDevice": "pci_devices",
    "usbDevice": "usb_devices",
    "qemuPath": "emulator",
}
_CEPH_SECRET: _Fields = {"ceph_secret_uuid": "uuid", "ceph_secret_key": "key"}
_VOLUME_QOS: _Fields = {"totalBandwidth": "total_bandwidth", "totalIops": "total_iops"}
_NIC_QOS: _Fields = {"inboundBandwidth": "inbound_bandwidth", "outboundBandwidth": "outbound_bandwidth"}

MAX_NAMED = 20  # unknown fields and warnings

# The agent treats 0 as no limit; ZStack stores -1 for "none".
_NO_LIMIT = (0, -1, "0")

_WANTED = {"int": "a whole number", "bytes": "a whole number", "bits": "a whole number", "bool": "true or false"}


class StartVmCmdError(ValueError):
    """An invalid StartVmCmd, or one with unknown fields. C(problems) has all of them."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("not a usable StartVmCmd: %s" % "; ".join(problems))
        self.problems = problems


# Every document of ZStack Cloud 5 and ZSphere has one of these, and none of 2018 has any.
_NEWER_GENERATION = ("bootMode", "cdRoms", "machineType")


def vm_from_start_vm_cmd(document: Any, unknown: str = "error") -> tuple[dict[str, Any], list[str]]:
    """Return the entry of C(vms) that a document (a mapping or JSON text) describes, and warnings.

    Unknown fields raise an error; with C(unknown) C(warn) they are dropped with a warning, with
    C(ignore) silently. Raises C(StartVmCmdError), which never repeats a value.
    """
    fields_of_document = parsed_document(document)
    _refuse_newer_generation(fields_of_document)
    conversion = _Conversion()
    vm = conversion.convert(fields_of_document)
    problems = first(conversion.problems)
    warnings = first(conversion.warnings, MAX_NAMED)
    fields = ", ".join(first(conversion.unknown, MAX_NAMED))
    if fields and unknown == "error":
        problems.append("unknown fields: %s (unknown='warn' ignores them)" % fields)
    elif fields and unknown == "warn":
        warnings.append("unknown fields are ignored: %s" % fields)
    if problems:
        raise StartVmCmdError(problems)
    return vm, warnings


def _refuse_newer_generation(document: Mapping[Any, Any]) -> None:
    """Raise StartVmCmdError for a document that means another VM by the fields that both generations have."""
    found = [field for field in _NEWER_GENERATION if field in document]
    if found:
        raise StartVmCmdError(
            [
                "the document is one of ZStack Cloud 5 or ZSphere (it has %s), which is not supported: without what "
                "only it has, such as firmware, CDs and the model of NICs, the VM would be another" % ", ".join(found)
            ]
        )


def parsed_document(document: Any) -> Mapping[Any, Any]:
    """Return the fields of a document (a mapping or JSON text). Raises C(StartVmCmdError)."""
    parsed = _parsed(document) if isinstance(document, str) else document
    problem = problem_of_data(parsed)
    if problem:
        raise StartVmCmdError(["the document %s" % problem])
    if not isinstance(parsed, Mapping):
        raise StartVmCmdError(["the document must be a mapping of fields, not %s" % kind_of(parsed)])
    return parsed


def _parsed(text: str) -> Any:
    problem = problem_of_json(text)
    if problem:
        raise StartVmCmdError(["the text %s" % problem])
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise StartVmCmdError(
            ["the text is not JSON: %s in line %d, column %d" % (error.msg, error.lineno, error.colno)]
        ) from None
    except (RecursionError, ValueError):
        raise StartVmCmdError(["the text is not readable JSON"]) from None


class _Conversion:
    """The conversion of one document, with its problems and warnings."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.unknown: list[str] = []

    def convert(self, document: Mapping[Any, Any]) -> dict[str, Any]:
        fields = {key: value for key, value in document.items() if key != "addons"}
        vm = self._mapping(fields, _VM, VM_ARGUMENT_SPEC, "")
        # ZStack sends cirrus if nobody chose a card; omitted, the host's own default applies.
        if vm.get("video_type") == "cirrus":
            del vm["video_type"]
        if document.get("addons") is not None:
            self._addons(document["addons"], vm)
        return vm

    def _addons(self, addons: Any, vm: dict[str, Any]) -> None:
        if not self._is(addons, Mapping, "a mapping", "addons"):
            return
        rest = dict(addons)
        volumes = [vm["root_volume"]] if isinstance(vm.get("root_volume"), dict) else []
        volumes += vm.get("data_volumes") or []
        self._qos(rest.pop("VolumeQos", None), _VOLUME_QOS, "data_volumes", volumes, "volume_uuid", "VolumeQos")
        self._qos(rest.pop("NicQos", None), _NIC_QOS, "nics", vm.get("nics") or [], "uuid", "NicQos")
        secret = {field: rest.pop(field) for field in _CEPH_SECRET if field in rest}
        if any(value is not None for value in secret.values()):
            spec = VM_ARGUMENT_SPEC["ceph_secret"]["options"]
            vm["ceph_secret"] = self._mapping(secret, _CEPH_SECRET, spec, "addons")
        channel = rest.get("channel")
        if isinstance(channel, Mapping):
            rest["channel"] = [channel]
        vm.update(self._mapping(rest, _ADDONS, VM_ARGUMENT_SPEC, "addons"))

    def _qos(
        self, raw: Any, fields: _Fields, option: str, devices: list[dict[str, Any]], uuid_option: str, key: str
    ) -> None:
        """Add each limit to its volume or NIC; like ZStack's agent, ignore limits of others."""
        option_path = "addons.%s" % key
        if raw is None or not self._is(raw, Mapping, "a mapping", option_path):
            return
        spec = VM_ARGUMENT_SPEC[option]["options"]["qos"]["options"]
        by_uuid = {_digits(device[uuid_option]): device for device in devices if device.get(uuid_option)}
        for uuid, limits in raw.items():
            inner = _inner(option_path, uuid)
            if limits is None or not self._is(limits, Mapping, "a mapping", inner):
                continue
            converted = self._mapping(limits, fields, spec, inner)
            converted = {name: limit for name, limit in converted.items() if limit not in _NO_LIMIT}
            device = by_uuid.get(_digits(uuid))
            if device is None:
                self.warnings.append("%s is for a device that this VM does not have: ignored" % inner)
            elif converted:
                device["qos"] = converted

    def _mapping(
        self, raw: Mapping[Any, Any], fields: _Fields, spec: Mapping[str, Any], option_path: str
    ) -> dict[str, Any]:
        """Return the options of one level. C(spec) has their types and which of them are required."""
        converted: dict[str, Any] = {}
        for key, value in raw.items():
            inner = _inner(option_path, key)
            if key not in fields:
                self.unknown.append(inner)
                continue
            field = fields[key]
            if field is None or value is None:
                continue
            if isinstance(field, _Nested):
                nested = self._nested(value, field, spec[field.option], inner)
                if nested is not None:
                    converted[field.option] = nested
            else:
                converted[field] = self._value(value, spec[field], inner)
        for key, field in fields.items():
            option = field.option if isinstance(field, _Nested) else field
            if option and spec[option].get("required") and raw.get(key) is None:
                self.problems.append("%s is required" % _inner(option_path, key))
        return converted

    def _nested(self, raw: Any, field: _Nested, option: Mapping[str, Any], option_path: str) -> Any:
        if option["type"] == "dict":
            if self._is(raw, Mapping, "a mapping", option_path):
                return self._mapping(raw, field.fields, option["options"], option_path)
            return None
        if not self._is(raw, list, "a list", option_path):
            return None
        return [
            self._mapping(item, field.fields, option["options"], "%s[%d]" % (option_path, index))
            for index, item in enumerate(raw)
            if self._is(item, Mapping, "a mapping", "%s[%d]" % (option_path, index))
        ]

    def _value(self, raw: Any, option: Mapping[str, Any], option_path: str) -> Any:
        wanted = option["type"]
        if wanted == "list":
            if not self._is(raw, list, "a list", option_path):
                return None
            return [
                self._value(item, {"type": option["elements"]}, "%s[%d]" % (option_path, index))
                for index, item in enumerate(raw)
            ]
        if wanted == "bool" and isinstance(raw, str) and raw.lower() in ("true", "false"):
            return raw.lower() == "true"
        right = {"bool": isinstance(raw, bool), "str": isinstance(raw, str)}.get(wanted, _is_number(raw))
        if not right:
            self.problems.append("%s must be %s, not %s" % (option_path, _WANTED.get(wanted, "text"), kind_of(raw)))
        return raw

    def _is(self, raw: Any, kind: Any, said: str, option_path: str) -> bool:
        if isinstance(raw, kind):
            return True
        self.problems.append("%s must be %s, not %s" % (option_path, said, kind_of(raw)))
        return False


def _is_number(raw: Any) -> bool:
    """Return whether C(raw) is a whole number, or a template's text of one."""
    if isinstance(raw, str):
        return raw.isascii() and raw.isdigit()
    return isinstance(raw, int) and not isinstance(raw, bool)


def _inner(option_path: str, key: Any) -> str:
    name = shown_name(key) if isinstance(key, str) else shown(key)
    return "%s.%s" % (option_path, name) if option_path else name


def _digits(uuid: Any) -> str:
    return str(uuid).replace("-", "").lower()
