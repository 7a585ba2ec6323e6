from aforo.http.documentation import OF_ANY_KEY, problems


def test_problems_are_told_by_status_with_an_example_each():
    told = problems("not_found", field_invalid="quantity is no decimal number.")

    assert [status for status, _ in told] == [401, 403, 404, 422, 429]
    assert {media_type for _, media_type in told} == {"application/problem+json"}
    (example,) = told[422, "application/problem+json"].examples
    assert example.value["type"] == "https://aforo.space/problems/field-invalid"
    assert example.value["detail"] == "quantity is no decimal number."


def test_what_any_key_can_meet_is_told_everywhere():
    names = [example.name for response in problems().values() for example in response.examples]

    assert names == list(OF_ANY_KEY)
