-- AI may be asked what a photographed meter shows.

alter table public.ai_calls drop constraint ai_calls_purpose_check;
alter table public.ai_calls add constraint ai_calls_purpose_check
    check (purpose in ('validate_reading', 'calculate_bill', 'write_message', 'read_dial'));
