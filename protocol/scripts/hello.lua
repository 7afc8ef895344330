-- ARGV: session, lease ms, info ("class|task kinds|context|label"). A worker comes, or comes back to another broker.
-- Answers {'new' | 'again', jobs it owns, 1 if those are suspects that run alone}.
local known = call('ZSCORE', K .. 'sess', ARGV[1])
call('ZADD', K .. 'sess', now_ms() + tonumber(ARGV[2]), ARGV[1])
call('HSET', K .. 'sinfo', ARGV[1], ARGV[3])
return {known and 'again' or 'new', call('HLEN', K .. 'run:' .. ARGV[1]), call('HEXISTS', K .. 'alone', ARGV[1])}
