"""Several kubeconfig files are one, by the rules of client-go."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irkit.adapters import kubefiles
from irkit.errors import KubeconfigError

NAMES = st.sampled_from(["a", "b", "c"])
SECTION = st.dictionaries(NAMES, st.fixed_dictionaries({"server": st.integers(0, 99).map(str)}), max_size=3)
DOCUMENT = st.fixed_dictionaries({"clusters": SECTION, "users": SECTION, "contexts": SECTION, "current-context": st.sampled_from(["", "a", "b"])})


def written(path: Path, document: dict[str, Any]) -> Path:
    named = {s: [{"name": n, k: body} for n, body in document[s].items()] for s, k in kubefiles.SECTIONS.items()}
    path.write_text(json.dumps({**named, "current-context": document["current-context"]}))
    return path


@given(documents=st.lists(st.none() | DOCUMENT, min_size=1, max_size=4))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_first_file_that_has_an_entry_wins_with_the_whole_of_it(tmp_path: Path, documents: list[dict[str, Any] | None]) -> None:
    files = [tmp_path / str(n) for n in range(len(documents))]
    for file, document in zip(files, documents, strict=True):
        file.unlink(missing_ok=True)
        if document is not None:
            written(file, document)
    there = [(f, d) for f, d in zip(files, documents, strict=True) if d is not None]
    if not there:
        with pytest.raises(KubeconfigError, match="no such file"):
            kubefiles.merge(files)
        return
    merged = kubefiles.merge(files)
    assert merged.files == tuple(f for f, _ in there)
    assert merged.current == next((d["current-context"] for _, d in there if d["current-context"]), "")
    for section, kind in kubefiles.SECTIONS.items():
        for name in ("a", "b", "c"):
            first = next(((f, d[section][name]) for f, d in there if name in d[section]), None)
            entry = merged.entries.get((kind, name))
            assert (entry and (entry.file, entry.body)) == first


def test_paths_are_read_once_and_empty_ones_passed_over() -> None:
    assert kubefiles.paths(f"a{os.pathsep}{os.pathsep}b{os.pathsep}a") == (Path("a"), Path("b"))
    assert kubefiles.paths("") == ()


def test_yaml_is_read_as_yaml(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("# ours\nclusters:\n- name: 42\n  cluster: {server: https://h}\nusers: null\nusers2: x\ncurrent-context: c\n")
    merged = kubefiles.merge([file])
    assert merged.find("cluster", "42", "x").text("server") == "https://h"
    flow = tmp_path / "flow"
    flow.write_text("{clusters: [{name: a, cluster: {}}]}")
    assert kubefiles.merge([flow]).names("cluster") == ["a"]
    empty = tmp_path / "empty"
    empty.write_text("")
    assert kubefiles.merge([empty, file]).current == "c"


SECRET = "c2VjcmV0LXRva2Vu"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"users:\n- name: a\n  user: {{token: {SECRET}\n", ":4:1: not valid YAML"),
        (f"a: b: {SECRET}", ":1:5: not valid YAML"),
        (f"\x00{SECRET}", "not valid YAML"),
        (f"- {SECRET}", ":1:1: a kubeconfig must be a mapping"),
        (SECRET, ":1:1: a kubeconfig must be a mapping"),
        (f"users: {SECRET}", "users must be a list of named entries"),
        (f"users: [{SECRET}]", "users must be a list of named entries"),
        (f"users: [{{name: a, user: {SECRET}}}]", "users must be a list of named entries"),
        (f"!!python/object/apply:os.system [{SECRET}]", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_named_without_its_text(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(KubeconfigError) as caught:
        kubefiles.merge([file])
    assert str(file) in caught.value.message
    assert says in caught.value.message
    assert SECRET not in str(caught.value)
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    with pytest.raises(KubeconfigError, match=r"kubeconfig .*/config: Is a directory"):
        kubefiles.merge([tmp_path / "config"])


def test_a_name_that_is_not_there_brings_those_that_are_near(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(json.dumps({"contexts": [{"name": n, "context": {}} for n in ("prod-eu", "prod-us", "test")]}))
    merged = kubefiles.merge([file])
    with pytest.raises(KubeconfigError, match=r"--context: no context 'prod-e' in .*; there is prod-eu, prod-us$"):
        merged.find("context", "prod-e", "--context")
    with pytest.raises(KubeconfigError, match=r"there is prod-eu, prod-us, test"):
        merged.find("context", "zzzz", "--context")
    with pytest.raises(KubeconfigError, match="there is no user at all"):
        merged.find("user", "x", "context")
    with pytest.raises(KubeconfigError, match=r"no context '\\x1b\[31m'"):
        merged.find("context", "\x1b[31m", "--context")


def test_data_wins_over_a_file_and_files_are_relative_to_theirs(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "ca.crt").write_bytes(b"from the file")
    entry = kubefiles.Entry("cluster", "a", {"certificate-authority": "pki/ca.crt"}, tmp_path / "config")
    assert entry.content("certificate-authority") == b"from the file"
    entry.body["certificate-authority-data"] = base64.b64encode(b"from the data").decode()
    assert entry.content("certificate-authority") == b"from the data"
    entry.body["certificate-authority-data"] = "no base64!"
    with pytest.raises(KubeconfigError, match=r"cluster a in .*config: certificate-authority-data is not base64"):
        entry.content("certificate-authority")
    gone = kubefiles.Entry("cluster", "a", {"certificate-authority": "gone"}, tmp_path / "config")
    with pytest.raises(KubeconfigError, match=r"certificate-authority .*/gone: No such file"):
        gone.content("certificate-authority")


def test_fields_of_a_wrong_type_are_named(tmp_path: Path) -> None:
    entry = kubefiles.Entry("cluster", "a", {"server": ["x"], "insecure-skip-tls-verify": "yes", "tls-server-name": True}, tmp_path / "config")
    with pytest.raises(KubeconfigError, match="server must be a string"):
        entry.text("server")
    with pytest.raises(KubeconfigError, match="tls-server-name must be a string"):
        entry.text("tls-server-name")
    with pytest.raises(KubeconfigError, match="must be true or false"):
        entry.flag("insecure-skip-tls-verify")
    assert SECRET not in repr(kubefiles.Entry("user", "a", {"token": SECRET}, tmp_path))
