-- ARGV: session or '' for all, on (1 or 0). Nothing more is handed out; a session that is to drain hears of it by its next
-- beat, finishes within its grace and leaves. Answers 1, or 0 where there is no such session.
if ARGV[1] == '' then
    if ARGV[2] == '1' then
        call('HSET', K .. 'meta', 'drain', 1)
    else
        call('HDEL', K .. 'meta', 'drain')
    end
    return 1
end
if not call('ZSCORE', K .. 'sess', ARGV[1]) then
    return 0
end
if ARGV[2] == '1' then
    call('HSET', K .. 'drain', ARGV[1], 1)
else
    call('HDEL', K .. 'drain', ARGV[1])
end
return 1
