# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of tasks: entries, errors, and no secrets."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Failure, Problem, VmError, VmProblems
from ansible_collections.zstack.kvm.plugins.module_utils._spec.arguments import VM_ARGUMENT_SPEC
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import (
    MASK,
    SecretMask,
    VmResult,
    as_failure,
    domain_text,
    failed,
    masked_arguments,
)
from lxml import etree

UUID = "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11"
NOTHING = SecretMask([])


def result(*actions: str) -> VmResult:
    """Return the result of a VM after these actions."""
    return VmResult(UUID, "web", actions=actions)


def failure(code: str, rollback: str = "not_needed") -> Failure:
    """Return a failure with an error of this code."""
    return Failure(VmError(code, "no"), "start", rollback)


class TestChanged:
    def test_is_what_was_done(self) -> None:
        assert not result().changed
        assert result("start").changed

    def test_is_not_what_was_undone(self) -> None:
        assert not failed(result("define"), failure("disk_full", "done"), NOTHING).changed

    def test_is_a_guest_that_was_shut_down_and_started_again(self) -> None:
        assert failed(result("define", "stop"), failure("qemu_failed", "done"), NOTHING).changed

    def test_is_what_could_not_be_undone(self) -> None:
        assert failed(result("define"), failure("disk_full", "partial"), NOTHING).changed

    def test_is_a_start_after_which_a_wait_failed(self) -> None:
        assert failed(result("define", "start"), failure("console_timeout"), NOTHING).changed


class TestErrors:
    def test_have_the_hint_of_their_code(self) -> None:
        entry = failed(result(), failure("bridge_missing"), NOTHING).as_entry()
        assert entry["error"]["hint"].startswith("Create the bridge")

    def test_keep_a_hint_of_their_own(self) -> None:
        entry = failed(result(), Failure(VmError("bridge_missing", "no", hint="Do this."), "look"), NOTHING).as_entry()
        assert entry["error"]["hint"] == "Do this."

    def test_of_a_preflight_are_one_with_all_problems_and_each_hint_once(self) -> None:
        problems = [
            Problem("vms[0].nics[0].bridge_name", "no br0", "bridge_missing"),
            Problem("vms[0].nics[1].bridge_name", "no br1", "bridge_missing"),
            Problem("vms[0].root_volume", "no file", "image_missing"),
        ]
        error = as_failure(VmProblems(problems)).error
        assert error.code == "bridge_missing"
        assert error.message == (
            "vms[0].nics[0].bridge_name: no br0; vms[0].nics[1].bridge_name: no br1; vms[0].root_volume: no file"
        )
        assert error.hint.count("bridge") == 2


class TestDomainText:
    def test_masks_the_console_password_alone(self) -> None:
        domain = etree.fromstring('<domain><devices><graphics type="vnc" passwd="vnc"/></devices></domain>')
        assert domain_text(domain) == (
            '<domain>\n  <devices>\n    <graphics type="vnc" passwd="%s"/>\n  </devices>\n</domain>\n' % MASK
        )
        assert domain.find("devices/graphics").get("passwd") == "vnc"

    def test_looks_the_same_however_it_was_indented(self) -> None:
        one = etree.fromstring("<domain><name>a b</name><devices/></domain>")
        other = etree.fromstring("<domain>\n\n      <name>a b</name>\n<devices/>  </domain>")
        assert domain_text(one) == domain_text(other)

    def test_of_nothing_is_empty(self) -> None:
        assert domain_text(None) == ""


class TestSecretMask:
    def test_takes_secrets_out_of_texts(self) -> None:
        assert SecretMask(["s3cret"]).text("wrong value 's3cret', s3cret.") == "wrong value '%s', %s." % (MASK, MASK)

    def test_leaves_words_alone_that_have_a_secret_in_them(self) -> None:
        assert SecretMask(["port"]).text("import the support port") == "import the support %s" % MASK

    def test_leaves_words_alone_that_are_too_short_for_a_secret(self) -> None:
        assert SecretMask(["vnc", "a"]).text("a vnc console") == "a vnc console"

    @pytest.mark.parametrize("secret", ["a.b*c(", "[x]\\d", 'ends with "', "über-gеheim", "$HOME;rm"])
    def test_takes_any_characters_as_they_are(self, secret: str) -> None:
        assert secret not in SecretMask([secret]).text('value "%s" is wrong' % secret)

    def test_takes_the_longest_first(self) -> None:
        assert SecretMask(["secret", "secret-two"]).text("x secret-two y") == "x %s y" % MASK

    def test_is_applied_to_all_texts_of_an_error(self) -> None:
        error = VmError("libvirt_error", "a s3cret", hint="b s3cret", libvirt_code=1, libvirt_message="c s3cret")
        assert "s3cret" not in str(failed(result(), Failure(error, "look"), SecretMask(["s3cret"])).as_entry())


class TestArguments:
    def test_show_what_is_no_secret(self) -> None:
        vms = [{"uuid": UUID, "nics": [{"bridge_name": "br0"}], "use_numa": True, "clock": None}]
        assert masked_arguments(vms, VM_ARGUMENT_SPEC) == vms

    def test_mask_secrets_at_every_depth(self) -> None:
        vms = [
            {
                "console_password": "one",
                "root_volume": {"install_path": "/a", "chap_password": "two"},
                "data_volumes": [{"chap_password": "three"}],
                "ceph_secret": {"uuid": UUID, "key": "four"},
            }
        ]
        assert masked_arguments(vms, VM_ARGUMENT_SPEC) == [
            {
                "console_password": MASK,
                "root_volume": {"install_path": "/a", "chap_password": MASK},
                "data_volumes": [{"chap_password": MASK}],
                "ceph_secret": {"uuid": UUID, "key": MASK},
            }
        ]

    def test_mask_possible_secrets_in_other_options(self) -> None:
        vms = [{"consolePassword": "one"}, "console_password=two", {"ceph_secret": "three"}, 4]
        shown = masked_arguments(vms, VM_ARGUMENT_SPEC)
        assert shown == [{"consolePassword": MASK}, MASK, {"ceph_secret": MASK}, MASK]
