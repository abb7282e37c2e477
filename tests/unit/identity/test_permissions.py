"""The one table: administrators may do all, auditors see all and change nothing."""

from services.identity.permissions import (
    PERMISSION_WORDS,
    PERMISSIONS_OF,
    ROLE_NAMES,
    Permission,
    Role,
    in_order,
    roles_with,
)


def test_every_role_has_a_name_and_permissions() -> None:
    assert set(PERMISSIONS_OF) == set(ROLE_NAMES) == set(Role)
    assert all(PERMISSIONS_OF.values())


def test_each_permission_is_in_words_once() -> None:
    said = [one for words in PERMISSION_WORDS.values() for one in words]
    assert sorted(said) == sorted(Permission)


def test_administrators_may_do_everything() -> None:
    assert PERMISSIONS_OF[Role.ADMIN] == set(Permission)


def test_auditors_see_everything_and_change_nothing() -> None:
    views = {permission for permission in Permission if permission.endswith(".view")}
    assert PERMISSIONS_OF[Role.AUDITOR] == views


def test_who_takes_money_neither_voids_bills_nor_reverses_payments() -> None:
    cashier = PERMISSIONS_OF[Role.CASHIER]
    assert cashier >= {Permission.RECORD_PAYMENTS, Permission.REFUND_PAYMENTS}
    assert cashier.isdisjoint(
        {
            Permission.VOID_BILLS,
            Permission.ADJUST_ACCOUNTS,
            Permission.REVERSE_PAYMENTS,
            Permission.REFUND_OVER_LIMIT,
            Permission.DECIDE_READINGS,
        }
    )


def test_users_keys_settings_and_whole_files_are_the_administrators_alone() -> None:
    for permission in (
        *(Permission.MANAGE_USERS, Permission.MANAGE_KEYS, Permission.CHANGE_SETTINGS),
        *(Permission.IMPORT_FILES, Permission.EXPORT_FILES),
    ):
        assert roles_with(permission) == (Role.ADMIN,)


def test_roles_are_told_in_the_order_of_the_table() -> None:
    assert in_order({Role.CASHIER, Role.ENGINEER}) == (Role.ENGINEER, Role.CASHIER)
