"""What a month has beside plain meters, brought into a large utility after it is filled."""

from typing import Any, Final

import psycopg

# Of a hundred meters four have two registers, priced by time of use; three a last bill up to an
# estimate, which the next read settles; or they are hourly, and one has a gap. The tariff of shops,
# of two in ten, has another version from the middle of the month on.
_MIX: Final = (
    """
    create temporary table two_registers as
    select m.id, a.id as agreement_id from meters m
    join meter_installations i on i.meter_id = m.id
    join service_agreements a on a.service_point_id = i.service_point_id
    where substr(m.serial, 2)::integer % 100 in (15, 35, 55, 75)
      and not exists (select 1 from intervals x where x.meter_id = m.id)""",
    """
    update meters m set registers = '["peak", "normal"]' from two_registers t where t.id = m.id""",
    """
    update readings r set registers = jsonb_build_object(
        'peak', r.register_wh / 4, 'normal', r.register_wh / 2)
    from two_registers t where t.id = r.meter_id""",
    """
    update agreement_tariffs g set tariff_id = (
        select f.id from tariffs f where f.code = 'LARGE-HOME-TOU')
    from two_registers t where t.agreement_id = g.agreement_id""",
    """
    update readings r set source = 'estimated' from meters m
    where m.id = r.meter_id and substr(m.serial, 2)::integer % 100 in (26, 56, 86)
      and r.read_on = '2026-10-01'
      and not exists (select 1 from intervals x where x.meter_id = m.id)""",
    """
    delete from intervals i using meters m
    where m.id = i.meter_id and substr(m.serial, 2)::integer % 100 = 44 and i.day = '2026-10-11'""",
    """
    insert into tariff_versions (id, tariff_id, effective_from, definition)
    select gen_random_uuid(), v.tariff_id, '2026-10-16',
           jsonb_set(v.definition, '{effective_from}', '"2026-10-16"')
    from tariff_versions v join tariffs f on f.id = v.tariff_id where f.code = 'LARGE-SHOP'""",
)


def mix(connection: psycopg.Connection[Any]) -> None:
    """Change a utility that `fill` made; the connection is a superuser's, as there."""
    connection.execute("set session_replication_role = replica")
    for statement in _MIX:
        connection.execute(statement.encode())
    connection.execute("reset session_replication_role")
    connection.execute("vacuum analyze")
