import pytest

from aforo.tenancy.seal import Unsealable, seal, unseal


def test_a_secret_comes_back_and_does_not_show():
    sealed = seal("whsec_abc")
    assert unseal(sealed) == "whsec_abc"
    # As a database gives it.
    assert unseal(memoryview(sealed)) == "whsec_abc"
    assert b"whsec" not in sealed
    assert seal("whsec_abc") != sealed


def test_another_secret_key_does_not_open_it_but_a_fallback_does(settings):
    before = settings.SECRET_KEY
    sealed = seal("whsec_abc")
    settings.SECRET_KEY = "another"
    with pytest.raises(Unsealable):
        unseal(sealed)
    settings.SECRET_KEY_FALLBACKS = [before]
    assert unseal(sealed) == "whsec_abc"


def test_a_changed_seal_is_refused():
    sealed = seal("whsec_abc")
    other = b"A" if sealed[40:41] != b"A" else b"B"
    with pytest.raises(Unsealable):
        unseal(sealed[:40] + other + sealed[41:])
