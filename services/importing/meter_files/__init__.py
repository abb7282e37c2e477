"""Files of the metering trade: NEM12, NEM13 and Green Button."""
