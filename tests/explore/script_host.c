/* The scripts' own text in Lua 5.1, the one that Redis has, with redis.call on a state in memory. */
#include <lua5.1/lauxlib.h>
#include <lua5.1/lua.h>
#include <lua5.1/lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/explore/memory_redis.h"

struct script_host {
    lua_State *lua;
    struct memory_redis *redis; /* of the call that runs */
    int scripts[SCRIPT_COUNT_];
};

static void push(lua_State *lua, const struct memory_reply *r)
{
    switch (r->kind) {
    case MEMORY_NIL: lua_pushboolean(lua, 0); break;
    case MEMORY_INT: lua_pushnumber(lua, (lua_Number)r->integer); break;
    case MEMORY_TEXT: lua_pushlstring(lua, r->text.at, r->text.len); break;
    case MEMORY_ARRAY:
        lua_createtable(lua, (int)r->n, 0);
        for (size_t i = 0; i < r->n; i++) {
            push(lua, &r->items[i]);
            lua_rawseti(lua, -2, (int)i + 1);
        }
        break;
    }
}

static int redis_call(lua_State *lua)
{
    struct script_host *h = lua_touserdata(lua, lua_upvalueindex(1));
    size_t n = (size_t)lua_gettop(lua);
    struct text *args = arena_take(h->redis->arena, n * sizeof *args);
    for (size_t i = 0; i < n; i++) {
        int at = (int)i + 1;
        if (lua_type(lua, at) == LUA_TNUMBER) { /* as Redis writes numbers */
            char s[40];
            snprintf(s, sizeof s, "%.17g", lua_tonumber(lua, at));
            args[i] = arena_copy(h->redis->arena, s, strlen(s));
        } else {
            args[i].at = lua_tolstring(lua, at, &args[i].len);
            if (!args[i].at)
                return luaL_error(lua, "redis.call: argument %d is no string or number", at);
        }
    }
    struct memory_reply r = memory_command(h->redis, args, n);
    push(lua, &r);
    return 1;
}

static void load(struct script_host *h, enum script script)
{
    char *text;
    size_t len;
    if (script_text(script, &text, &len) != ST_OK)
        abort();
    const char *body = strchr(text, '\n'); /* behind the shebang */
    if (text[0] != '#' || !body)
        body = text;
    if (luaL_loadbuffer(h->lua, body, len - (size_t)(body - text), script_name(script)) != 0) {
        fprintf(stderr, "%s\n", lua_tostring(h->lua, -1));
        abort();
    }
    free(text);
    h->scripts[script] = luaL_ref(h->lua, LUA_REGISTRYINDEX);
}

struct script_host *script_host_new(void)
{
    struct script_host *h = calloc(1, sizeof *h);
    if (!h || !(h->lua = luaL_newstate()))
        abort();
    luaL_openlibs(h->lua);
    lua_newtable(h->lua);
    lua_pushlightuserdata(h->lua, h);
    lua_pushcclosure(h->lua, redis_call, 1);
    lua_setfield(h->lua, -2, "call");
    lua_setglobal(h->lua, "redis");
    lua_newtable(h->lua);
    lua_pushstring(h->lua, "{q:0}");
    lua_rawseti(h->lua, -2, 1);
    lua_setglobal(h->lua, "KEYS");
    for (int i = 0; i < SCRIPT_COUNT_; i++)
        load(h, (enum script)i);
    return h;
}

void script_host_free(struct script_host *h)
{
    lua_close(h->lua);
    free(h);
}

static struct memory_reply pull(lua_State *lua, struct arena *a, int at)
{
    struct memory_reply r = {.kind = MEMORY_NIL};
    size_t len;
    const char *s;
    switch (lua_type(lua, at)) {
    case LUA_TNUMBER:
        r.kind = MEMORY_INT;
        r.integer = (int64_t)lua_tonumber(lua, at);
        break;
    case LUA_TSTRING:
        r.kind = MEMORY_TEXT;
        s = lua_tolstring(lua, at, &len);
        r.text = arena_copy(a, s, len);
        break;
    case LUA_TTABLE: /* up to the first hole, as Redis answers */
        r.kind = MEMORY_ARRAY;
        len = lua_objlen(lua, at);
        r.items = arena_take(a, (len ? len : 1) * sizeof *r.items);
        for (size_t i = 0; i < len; i++) {
            lua_rawgeti(lua, at, (int)i + 1);
            bool hole = lua_isnil(lua, -1);
            if (!hole)
                r.items[r.n++] = pull(lua, a, lua_gettop(lua));
            lua_pop(lua, 1);
            if (hole)
                break;
        }
        break;
    default: break;
    }
    return r;
}

struct memory_reply script_run(struct script_host *h, struct memory_redis *r, enum script script,
                               const struct text *args, size_t n)
{
    h->redis = r;
    lua_createtable(h->lua, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushlstring(h->lua, args[i].at, args[i].len);
        lua_rawseti(h->lua, -2, (int)i + 1);
    }
    lua_setglobal(h->lua, "ARGV");
    lua_rawgeti(h->lua, LUA_REGISTRYINDEX, h->scripts[script]);
    if (lua_pcall(h->lua, 0, 1, 0) != 0) {
        fprintf(stderr, "%s: %s\n", script_name(script), lua_tostring(h->lua, -1));
        abort();
    }
    struct memory_reply reply = pull(h->lua, r->arena, lua_gettop(h->lua));
    lua_pop(h->lua, 1);
    return reply;
}
