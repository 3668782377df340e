import pytest

from adminlog.admin import AdminActionAdmin, AdminUserAdmin
from adminlog.factories import AdminActionFactory, AdminUserFactory
from adminlog.models import AdminAction, AdminUser
from adminlog.search import matching, words


def found(term: str) -> set[str | None]:
    staff = AdminUser.objects.exclude(tg_user_id=AdminUser.SYSTEM_TG_USER_ID)
    for word in words(term):
        staff = staff.filter(matching(AdminUser, AdminUserAdmin.search_fields, word))
    return set(staff.values_list("username", flat=True))


@pytest.fixture(autouse=True)
def anna_and_boris(db: None) -> None:
    AdminUserFactory(username="anna", tg_user_id=123456789)
    AdminUserFactory(username="Boris 1234567", tg_user_id=-1001234567890)


@pytest.mark.parametrize("term", ["anna", "@anna", "@ANNA", "nn", "123456789", "  anna  123456789 ", "'anna'"])
def test_a_name_with_or_without_at_or_the_whole_number_finds_the_row(term):
    assert found(term) == {"anna"}


def test_a_number_is_compared_whole_with_numbers_and_as_text_with_texts():
    assert found("12345678") == set()
    assert found("1234567") == {"Boris 1234567"}
    assert found("-1001234567890") == {"Boris 1234567"}


def test_quotes_make_one_word_of_two():
    assert found('"Boris 1234567"') == {"Boris 1234567"}
    assert found('"1234567 Boris"') == set()
    assert found("1234567 Boris") == {"Boris 1234567"}


@pytest.mark.parametrize(
    "term",
    [str(10**30), "9" * 19, "9" * 5000, "-", "@", '"', "'", '""', "\0", "%", "\\", "👍", "x" * 20000, "²", "１２"],
)
def test_nasty_strings_find_nothing_and_break_nothing(term):
    assert found(term) in (set(), {"anna", "Boris 1234567"})


@pytest.mark.parametrize("name", ["Фёдор", "Федор"])
@pytest.mark.parametrize("term", ["фёдор", "ФЕДОР", "ФЁДОР"])
def test_it_is_all_the_same_whether_one_writes_e_or_yo(name, term):
    AdminUserFactory(username=name)
    assert found(term) == {name}


def test_parents_are_found_in_their_own_table_and_not_joined_to_every_row():
    of_anna = AdminActionFactory(admin=AdminUser.objects.get(username="anna"))
    AdminActionFactory()

    actions = AdminAction.objects.filter(matching(AdminAction, AdminActionAdmin.search_fields, "anna"))

    assert list(actions) == [of_anna]
    assert "JOIN" not in str(actions.query)


def test_a_number_is_not_cast_to_text_for_every_row():
    staff = AdminUser.objects.filter(matching(AdminUser, ["tg_user_id"], "123456789"))
    assert "::" not in str(staff.query)
