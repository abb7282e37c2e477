-- A change of supply that lowers issued bills may need a second person, as voiding them does.
alter table public.approval_requests drop constraint approval_requests_kind_check;
alter table public.approval_requests add constraint approval_requests_kind_check
    check (kind in ('refund', 'refund_again', 'payout', 'correction', 'credit', 'waiver', 'tariff', 'tariff_correction', 'supply'));
comment on column public.approval_requests.action_id is
    'The id of the row that the action makes: the refund, correction, credit, tariff version or change of supply; of a waiver the charge that it takes back.';
