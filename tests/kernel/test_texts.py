import json

from aforo.kernel.texts import is_storable, storable


def test_what_no_store_keeps_is_found_and_written_out() -> None:
    for text in ("a\0b", "\ud800", "x\udfff"):
        for value in (text, [text], {"a": {"b": text}}, {text: 1}):
            assert not is_storable(value)
            written = storable(value)
            assert is_storable(written)
            json.dumps(written, ensure_ascii=False).encode()
    assert storable("a\0") == "a\\u0000"
    assert is_storable({"a": ["é", "😀", 1, None]})
