-- ARGV: tenant, weight, quota ('' = as it is, both; quota 0 = none). Answers {weight, quota, unfinished}.
local t = K .. 'tenant:' .. ARGV[1]
if ARGV[2] ~= '' then
    call('HSET', t, 'weight', ARGV[2])
end
if ARGV[3] == '0' then
    call('HDEL', t, 'quota')
elseif ARGV[3] ~= '' then
    call('HSET', t, 'quota', ARGV[3])
end
local f = call('HMGET', t, 'weight', 'quota', 'unfinished')
return {f[1] or '1', tonumber(f[2] or '0'), tonumber(f[3] or '0')}
