"""What pages count, marked for the catalogues: `count(3, "meter")` of pages/shared/format.py."""

from typing import Final

from services.languages.sentence import N_, NN_

COUNTED: Final = (
    NN_("{count} meter", "{count} meters"),
    NN_("{count} bill", "{count} bills"),
    NN_("{count} customer", "{count} customers"),
    NN_("{count} payment", "{count} payments"),
    NN_("{count} reading", "{count} readings"),
    NN_("{count} draft", "{count} drafts"),
    NN_("{count} row", "{count} rows"),
    NN_("{count} route", "{count} routes"),
    NN_("{count} service point", "{count} service points"),
    NN_("{count} smart meter", "{count} smart meters"),
    NN_("{count} user", "{count} users"),
    NN_("{count} month", "{count} months"),
    NN_("{count} earlier month", "{count} earlier months"),
    NN_("{count} sign-in", "{count} sign-ins"),
    NN_("{count} recovery code", "{count} recovery codes"),
    NN_("{count} open bill", "{count} open bills"),
    NN_("{count} difference", "{count} differences"),
    NN_("{count} entry", "{count} entries"),
    NN_("{count} event", "{count} events"),
    NN_("{count} line", "{count} lines"),
    NN_("{count} place", "{count} places"),
    NN_("{count} transformer", "{count} transformers"),
    NN_("{count} minute", "{count} minutes"),
    NN_("{count} hour", "{count} hours"),
    NN_("{count} try", "{count} tries"),
)
# What a list says that has no rows.
NONE: Final = (
    N_("No bill fits."),
    N_("No bill yet."),
    N_("No customer fits."),
    N_("No customer yet."),
    N_("No meter fits."),
    N_("No meter yet."),
    N_("No payment fits."),
    N_("No payment yet."),
    N_("No service point fits."),
    N_("No service point yet."),
    N_("No smart meter fits."),
    N_("No smart meter yet."),
    N_("No user fits."),
    N_("No user yet."),
)
