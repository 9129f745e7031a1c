# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running VM: the desired domain, libvirt's live XML of it, and the changes of one into the other."""

from __future__ import annotations

from typing import Optional

from ansible_collections.zstack.kvm.plugins.module_utils._drift.live_drift import LiveDrift, live_drift
from lxml import etree

DESIRED_XML = """
<domain type="kvm">
  <name>vm</name>
  <description>web</description>
  <maxMemory slots="16" unit="KiB">68719476736</maxMemory>
  <currentMemory unit="KiB">1048576</currentMemory>
  <vcpu placement="static" current="2">128</vcpu>
  <cputune><shares>1024</shares></cputune>
  <os><type arch="x86_64" machine="pc">hvm</type></os>
  <cpu><numa><cell id="0" cpus="0-127" memory="1048576" unit="KiB"/></numa></cpu>
  <devices>
    <disk type="file" device="disk">
      <driver name="qemu" type="qcow2"/><source file="/root"/><target dev="vda" bus="virtio"/>
    </disk>
    <disk type="file" device="disk">
      <driver name="qemu" type="qcow2"/><source file="/data"/><target dev="vdb" bus="virtio"/>
      <iotune><total_bytes_sec>100</total_bytes_sec></iotune>
    </disk>
    <disk type="file" device="cdrom">
      <driver name="qemu" type="raw"/><source file="/cd.iso"/><target dev="hdc" bus="ide"/><readonly/>
    </disk>
    <interface type="bridge">
      <mac address="fa:00:00:00:00:01"/><source bridge="br0"/><target dev="vnic1.0"/><model type="virtio"/>
    </interface>
    <graphics type="vnc" autoport="yes" passwd="s3cret"><listen type="address" address="127.0.0.1"/></graphics>
    <video><model type="cirrus"/></video>
    <memballoon model="virtio"><stats period="10"/></memballoon>
  </devices>
  <seclabel type="none"/>
</domain>
"""

RUNNING_XML = """
<domain type="kvm" id="7">
  <name>vm</name>
  <description>web</description>
  <maxMemory slots="16" unit="KiB">68719476736</maxMemory>
  <memory unit="KiB">1048576</memory>
  <currentMemory unit="KiB">900000</currentMemory>
  <vcpu placement="static" current="2">128</vcpu>
  <cputune><shares>1024</shares></cputune>
  <resource><partition>/machine</partition></resource>
  <os><type arch="x86_64" machine="pc-i440fx-7.2">hvm</type><boot dev="hd"/></os>
  <cpu mode="custom" match="exact" check="full">
    <model fallback="forbid">qemu64</model><feature policy="require" name="hypervisor"/>
    <numa><cell id="0" cpus="0-127" memory="1048576" unit="KiB"/></numa>
  </cpu>
  <clock offset="utc"/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <disk type="file" device="disk">
      <driver name="qemu" type="qcow2"/><source file="/root" index="3"/><backingStore/>
      <target dev="vda" bus="virtio"/><alias name="virtio-disk0"/>
      <address type="pci" domain="0x0000" bus="0x00" slot="0x05" function="0x0"/>
    </disk>
    <disk type="file" device="disk">
      <driver name="qemu" type="qcow2"/><source file="/data" index="2"/><backingStore/>
      <target dev="vdb" bus="virtio"/><iotune><total_bytes_sec>100</total_bytes_sec></iotune>
      <alias name="virtio-disk1"/><address type="pci" domain="0x0000" bus="0x00" slot="0x06" function="0x0"/>
    </disk>
    <disk type="file" device="cdrom">
      <driver name="qemu" type="raw"/><source file="/cd.iso" index="1"/><backingStore/>
      <target dev="hdc" bus="ide"/><readonly/><alias name="ide0-0-1"/>
      <address type="drive" controller="0" bus="0" target="0" unit="1"/>
    </disk>
    <controller type="usb" index="0" model="piix3-uhci"/>
    <interface type="bridge">
      <mac address="fa:00:00:00:00:01"/><source bridge="br0"/><target dev="vnic1.0"/><model type="virtio"/>
      <alias name="net0"/><address type="pci" domain="0x0000" bus="0x00" slot="0x03" function="0x0"/>
    </interface>
    <graphics type="vnc" port="5900" autoport="yes" listen="127.0.0.1" passwd="s3cret">
      <listen type="address" address="127.0.0.1"/>
    </graphics>
    <video><model type="cirrus" vram="16384" heads="1" primary="yes"/><alias name="video0"/></video>
    <memballoon model="virtio"><stats period="10"/><alias name="balloon0"/></memballoon>
  </devices>
  <seclabel type="none" model="none"/>
  <seclabel type="dynamic" model="dac" relabel="yes"><label>+64055:+64055</label></seclabel>
</domain>
"""


def changes(
    *replacements: tuple[str, str], running: tuple[tuple[str, str], ...] = (), port: Optional[str] = "br0"
) -> LiveDrift:
    """Return the live changes for a changed document; C(port) is the bridge in which the device of the NIC is."""
    return live_drift(domain(DESIRED_XML, replacements), domain(RUNNING_XML, running), {"vnic1.0": port})


def text_of(replacements: tuple[tuple[str, str], ...]) -> str:
    return str(etree.tostring(domain(DESIRED_XML, replacements), encoding="unicode"))


def domain(text: str, replacements: tuple[tuple[str, str], ...]) -> etree._Element:
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return etree.fromstring(text)


def names(planned: LiveDrift) -> list[str]:
    """Return the changes that are applied at once."""
    return [action.name for action in planned.actions]


def left(planned: LiveDrift) -> list[str]:
    """Return the changes that wait."""
    return [difference.path for difference in planned.remaining]
