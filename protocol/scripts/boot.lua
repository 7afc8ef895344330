-- ARGV: layout version, shards ('' = look only). What this queue was made with; the first broker writes it, later ones
-- compare. Answers {version, shards}, nothing each where it was not made yet.
if ARGV[2] ~= '' then
    call('HSETNX', K .. 'meta', 'version', ARGV[1])
    call('HSETNX', K .. 'meta', 'shards', ARGV[2])
end
local f = call('HMGET', K .. 'meta', 'version', 'shards')
return {f[1] or '', f[2] or ''}
