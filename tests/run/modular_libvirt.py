# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modular daemons: Debian packages libvirtd only, so they are built from its source of libvirt.

They are built as Enterprise Linux builds them: a client connects to virtqemud, not to libvirtd's socket. Drivers that
no test needs are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

RECIPE = "tests/run/modular_libvirt.py"
Run = Callable[[list[str]], None]

PACKAGES = (
    "ca-certificates",
    "dpkg-dev",
    "gcc",
    "gettext",
    "libattr1-dev",
    "libblkid-dev",
    "libc6-dev",
    "libcap-ng-dev",
    "libglib2.0-dev",
    "libgnutls28-dev",
    "libjson-c-dev",
    "libnl-3-dev",
    "libnl-route-3-dev",
    "libnuma-dev",
    "libpcap0.8-dev",
    "libpciaccess-dev",
    "libreadline-dev",
    "libsasl2-dev",
    "libtirpc-dev",
    "libudev-dev",
    "libxml2-dev",
    "libxml2-utils",
    "meson",
    "ninja-build",
    "pkgconf",
    "python3-docutils",
    "xsltproc",
)
_ENABLED = (
    "attr",
    "blkid",
    "capng",
    "driver_libvirtd",
    "driver_network",
    "driver_qemu",
    "driver_remote",
    "driver_secrets",
    "json_c",
    "libnl",
    "libpcap",
    "nls",
    "numactl",
    "pciaccess",
    "polkit",
    "readline",
    "sasl",
    "storage_dir",
    "storage_fs",
    "udev",
)
_OPTIONS = (
    "--prefix=/usr",
    "--libdir=lib/x86_64-linux-gnu",
    "--sysconfdir=/etc",
    "--localstatedir=/var",
    "--libexecdir=/usr/lib/libvirt",
    "--auto-features=disabled",
    "-Ddebug=false",
    "-Doptimization=1",
    "-Drunstatedir=/run",
    "-Dsystem=true",
    "-Dqemu_user=libvirt-qemu",
    "-Dqemu_group=libvirt-qemu",
    "-Dqemu_moddir=/usr/lib/x86_64-linux-gnu/qemu",
    "-Dfirewall_backend_priority=iptables,nftables",
    "-Dremote_default_mode=direct",
    *(f"-D{name}=enabled" for name in _ENABLED),
)
# Where the source is, and where the result goes, in the files of the builder
_SOURCE = "/src/libvirt"
_RESULT = "/result"


def install(builder: Path, suite: str, mirror: str, system: Path, run: Run) -> None:
    """Build libvirt in the files C(builder), which hold C(PACKAGES), and replace that of C(system) by it."""

    def inside(command: str) -> None:
        run(["chroot", str(builder), "sh", "-euc", command])

    sources = builder / "etc/apt/sources.list.d/source.list"
    sources.write_text(f"deb-src {mirror} {suite} main\n", encoding="utf-8")
    inside("apt-get -o Acquire::Check-Valid-Until=false update")
    # Of the source, mirrors of packages may hold no signatures.
    for part in ("tar", "diff"):
        inside(f"mkdir -p /src; cd /src; apt-get source --download-only --{part}-only libvirt")
    inside("cd /src; tar -xf libvirt_*.orig.tar.*; mv libvirt-*/ libvirt; tar -xf libvirt_*.debian.tar.* -C libvirt")
    inside("cd /src; dpkg-source --before-build libvirt")
    inside(f"cd {_SOURCE}; meson setup build {' '.join(_OPTIONS)}")
    inside(f"cd {_SOURCE}; nice -n 19 ninja -C build; DESTDIR={_RESULT} meson install -C build --no-rebuild")
    # Debian's package starts no network either.
    inside(f"rm -r {_RESULT}/etc/libvirt/qemu/networks/autostart")
    run(["cp", "--archive", f"{builder}{_RESULT}/.", str(system)])
    (system / "usr/sbin/libvirtd").unlink()
