"""Text of users in another language: only what is listed passes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnstack.errors import Problem, TargetError
from snnstack.files import write_directory
from snnstack.foreign_text import (
    COMMENT_LIMIT,
    IDENTIFIER_LIMIT,
    cell,
    comment,
    identifier,
    identifiers,
    markdown,
    python_literal,
    visible,
)
from snnstack.ir.text import describe
from snnstack.report.flat import csv_text
from snnstack.templates import environment
from tests.conftest import ROOT
from tests.hostile import MODELS, NAMES, network

TEXT = st.one_of(st.text(), st.sampled_from(list(NAMES.values())))
CODE = ("backends/mcu/templates", "backends/spinnaker2/templates")
RAW = re.compile(r"\b(\w*name|\w*title|source|target|url|input|paragraph)\b")


@given(TEXT)
def test_a_comment_is_one_line_of_listed_characters(text: str) -> None:
    found = comment(text)
    assert re.fullmatch(r"[A-Za-z0-9_ .,:+()\[\]=-]+", found)
    assert len(found) <= COMMENT_LIMIT
    assert comment(found) == found


@given(TEXT)
def test_an_identifier_is_one_and_stays_what_it_is(text: str) -> None:
    found = identifier(text)
    assert re.fullmatch(r"[a-z][a-z0-9_]*", found)
    assert len(found) <= IDENTIFIER_LIMIT + len("net_")
    assert identifier(found) == found


@given(st.lists(TEXT, max_size=12))
def test_names_get_different_identifiers_and_macros(names: list[str]) -> None:
    found = identifiers(names)
    assert len(set(found)) == len(names)
    macros = [f"{t}_size" for t in found] + [f"layer_{t}" for t in found]
    assert len(set(macros)) == len(macros)
    assert all(re.fullmatch(r"[a-z0-9_]+", tail) for tail in found)


def test_many_equal_names_take_no_time() -> None:
    assert len(set(identifiers(["a b"] * 20_000))) == 20_000


@given(TEXT)
def test_a_literal_is_the_text_and_plain_ascii(text: str) -> None:
    found = python_literal(text)
    assert ast.literal_eval(found) == text
    assert found.isascii() and found.isprintable()
    assert not set(found[1:-1]) & set("\"'{}%#$`<>")


def test_a_literal_of_plain_data_is_that_data() -> None:
    data = {"a": [1, -2.5, True, None], 'b"': ("x", {})}
    assert ast.literal_eval(python_literal(data)) == {"a": [1, -2.5, True, None], 'b"': ["x", {}]}


@given(TEXT)
def test_a_terminal_gets_no_character_that_steers_it(text: str) -> None:
    assert visible(text).isprintable()
    assert "\n" not in str(Problem(text, "is wrong"))
    assert str(Problem("a", text, text)).replace("\n", "").replace("\t", "").isprintable()


@given(TEXT)
def test_markdown_has_no_construct(text: str) -> None:
    assert not set(markdown(text)) & set("|`<>[]()!*#\\&\n")


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+cmd|x", "-2+3", "\t=1", "\r=1"])
def test_a_spreadsheet_takes_no_name_for_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert csv_text([{text: 1, "b": text}]).count("'") == 2


def test_numbers_and_words_of_a_table_stay() -> None:
    assert [cell(t) for t in ("-1.5", "-", "fc1", "", "1e-3")] == ["-1.5", "-", "fc1", "", "1e-3"]


def test_names_of_model_files_do_not_meet_other_files() -> None:
    found = [identifier(name) for name in MODELS]
    assert identifier("digits") == "digits" and identifier("braille") == "braille"
    taken = {"memory", "startup", "test", "stdint", "all", "selftest", "int", "snn_kernels", "nul"}
    assert not taken & set(found)
    assert all(name.endswith(model.lower()) for name, model in zip(found, MODELS, strict=True))


def test_the_text_form_has_one_line_a_node_whatever_its_name() -> None:
    names = {key: name for key, name in NAMES.items() if name}
    plain = {key: f"n{k}" for k, key in enumerate(names)}
    assert describe(network(names)).count("\n") == describe(network(plain)).count("\n")
    assert describe(network(names)).replace("\n", "").isprintable()


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\0b", ""])
def test_no_file_is_written_outside_of_its_directory(name: str, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"out: a file called .* would stand outside of it$"):
        write_directory({"good": b"", name: b""}, tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", CODE)
def test_templates_of_code_filter_every_text_of_a_user(folder: str) -> None:
    """Names reach a template as an identifier (`net`, `id`, `ID`), a title made of comments, or
    through a filter. `array.name` is made of identifiers, `machine.name` is a constant, a
    stage's source a number."""
    ours = {"array.name", "machine.name", "layer.title", "route.title", "memory.title"}
    ours |= {"output.title", "stage.source", "1 - stage.source", "address_name"}
    wrong = []
    for file in sorted((ROOT / folder).glob("*.j2")):
        for expression in re.findall(r"\{\{(.*?)\}\}", file.read_text()):
            value, *filters = (part.strip() for part in expression.split("|"))
            if RAW.search(value) and value not in ours and not filters:
                wrong.append(f"{file.name}: {expression.strip()}")
    assert not wrong


def test_no_network_declares_what_the_emitted_c_calls_a_variable() -> None:
    """A word x_events in a template, beside a network x with its function x_events."""
    files = [f for f in sorted((ROOT / CODE[0]).glob("*.j2")) if ".md." not in f.name]
    text = re.sub(r"\{%.*?%\}|\{#.*?#\}", " ", "\n".join(f.read_text() for f in files), flags=re.S)
    words = set(re.findall(r"\b[A-Za-z]\w*\b(?!\{)", re.sub(r"\{\{.*?\}\}\w*", "{} ", text)))
    met: set[str] = set()
    for net, name in (("net", str.lower), ("NET", str.upper)):
        ends = set(re.findall(rf"\{{\{{ {net} \}}\}}(_\w+)", text))
        ends |= set(re.findall(rf'\b{net} ~ "(_\w+)"', text))
        assert len(ends) > 10
        fronts = {w.removesuffix(end) for w in words for end in ends if w.endswith(end)}
        met |= fronts
        assert not [front for front in fronts - {""} if name(identifier(front)) == front]
    assert {"n", "golden_n", "run", "SNN"} < met


@pytest.mark.parametrize(
    "text", ["a\\", 'a"', "a#b", "$x", "a\rb", "é", "a@b", "`a`", "'", "\u202e"]
)
def test_a_template_of_code_refuses_text_that_nothing_has_cleaned(text: str) -> None:
    made = environment("snnstack.backends.mcu")
    with pytest.raises(ValueError, match="text of a user in a template"):
        made.from_string("{{ text }}").render(text=text)
    assert made.from_string("{{ text | comment }}").render(text=text).isascii()
    with pytest.raises(jinja2.UndefinedError):
        made.from_string("{{ missing.name }}").render()


def test_templates_are_made_in_one_place() -> None:
    """Another environment would print what it gets."""
    made = [
        str(file.relative_to(ROOT))
        for folder in ("snnstack", "backends", "compilers", "emulators")
        for file in sorted((ROOT / folder).rglob("*.py"))
        if not file.is_symlink() and "Environment(" in file.read_text()
    ]
    assert sorted(set(made)) == ["snnstack/report/page.py", "snnstack/templates.py"]


def test_the_command_line_prints_through_one_door() -> None:
    files = sorted((ROOT / "snnstack" / "cli").glob("*.py"))
    direct = [f.name for f in files if re.search(r"click\.s?echo|\bprint\(", f.read_text())]
    assert direct == ["show.py"]
