//! Our pattern functions beside stock Lua's.

use mlua::{Function, Lua, LuaString, MultiValue};
use proptest::prelude::*;

use crate::script::lua::bare_environment;

/// What a call gave: its results as text, or that it failed.
fn shown(function: &Function, arguments: MultiValue) -> Result<String, String> {
    function.call::<LuaString>(arguments).map(|text| text.to_string_lossy()).map_err(|error| error.to_string())
}

/// Runs all functions over a text and a pattern and joins what they give.
const PROBE: &str = r#"
    local s, p, init, replacement = ...
    local out = {}
    local function put(name, ok, ...)
        local values = table.pack(...)
        for i = 1, values.n do values[i] = math.type(values[i]) and "i" .. values[i] or tostring(values[i]) end
        out[#out + 1] = name .. ": " .. (ok and table.concat(values, ",", 1, values.n) or "refused")
    end
    put("find", pcall(string.find, s, p, init))
    put("plain", pcall(string.find, s, p, init, true))
    put("match", pcall(string.match, s, p, init))
    put("gmatch", pcall(function()
        local found = {}
        for a, b, c in string.gmatch(s, p, init) do found[#found + 1] = tostring(a) .. "/" .. tostring(b) .. "/" .. tostring(c) end
        return table.concat(found, ";")
    end))
    put("gsub", pcall(string.gsub, s, p, replacement))
    put("gsub 2", pcall(string.gsub, s, p, "<%0>", 2))
    put("gsub table", pcall(string.gsub, s, p, {a = "A", ab = 5, [1] = "one", b = false}))
    put("gsub function", pcall(string.gsub, s, p, function(a, b) if a == "b" then return nil end return tostring(a) .. "+" .. tostring(b) end))
    return table.concat(out, "\n")
"#;

struct Pair {
    states: (Lua, Lua),
    stock: Function,
    ours: Function,
    find: Function,
}

fn pair() -> Pair {
    let stock_lua = Lua::new();
    let stock = stock_lua.load(PROBE).into_function().unwrap();
    let (our_lua, environment) = bare_environment();
    let find = environment.get::<mlua::Table>("string").unwrap().get("find").unwrap();
    let ours = our_lua.load(PROBE).set_environment(environment).into_function().unwrap();
    Pair { states: (stock_lua, our_lua), stock, ours, find }
}

fn arguments(lua: &Lua, texts: [&str; 3], init: i64) -> MultiValue {
    let [text, pattern, replacement] = texts.map(|text| mlua::Value::String(lua.create_string(text).unwrap()));
    [text, pattern, mlua::Value::Integer(init), replacement].into_iter().collect()
}

fn compare(pair: &Pair, texts: [&str; 3], init: i64) -> Result<(), TestCaseError> {
    let stock = shown(&pair.stock, arguments(&pair.states.0, texts, init));
    let ours = shown(&pair.ours, arguments(&pair.states.1, texts, init));
    let (Ok(stock), Ok(ours)) = (&stock, &ours) else {
        return Err(TestCaseError::fail(format!("{texts:?}: {stock:?} {ours:?}")));
    };
    for (stock, ours) in stock.lines().zip(ours.lines()) {
        // A malformed pattern is always refused here; stock Lua may not come to the mistake.
        let is_ours_stricter = ours.ends_with(": refused");
        prop_assert!(stock == ours || is_ours_stricter, "{texts:?} {init}: stock {stock}, ours {ours}");
    }
    Ok(())
}

#[test]
fn known_cases_match_stock_lua() {
    let pair = pair();
    for (text, pattern) in [
        ("hello world", "(o)(r)"),
        ("hello", ""),
        ("key = value", "^(%w+)%s*=%s*(%w+)$"),
        ("a,b,,c", "([^,]*)"),
        ("THE (quick) fox", "%((%a+)%)"),
        ("f(a(b)c)d", "%b()"),
        ("THE (quick) fox", "%f[%a]%a+"),
        ("abab", "(ab)%1"),
        ("x^y", "x^y"),
        ("a$b", "a$b"),
        ("a.b", "a%.b"),
        ("aaa", "a-b"),
        ("aaab", "a-b"),
        ("]", "[]]"),
        ("a-z", "[a-]"),
        ("^", "[%^]"),
        ("b", "[^a]"),
        ("", "^$"),
        ("abc", "()b()"),
        ("\u{e4}b", "."),
        ("a\0b", "%z"),
        ("1.5e3", "%d+%.?%d*"),
        ("aXb", "%u"),
        ("a b\tc\u{b}", "%s"),
        ("a+b", "%p"),
        ("  trim  ", "^%s*(.-)%s*$"),
        ("aaaa", "a?a?a?aaa"),
        ("x", "[x%-]"),
        ("abc", "b*"),
        ("abc", "[a-c]+"),
        ("%d", "%%d"),
        ("a)b", "%)"),
        ("^a", "^^a"),
        ("hello", "l+()"),
    ] {
        for init in [1, 0, -3, 2, 9, -99] {
            compare(&pair, [text, pattern, "<%1>"], init).unwrap();
        }
    }
}

#[test]
fn malformed_patterns_are_refused_in_lua_s_words() {
    let pair = pair();
    for (pattern, expected) in [
        ("%", "malformed pattern (ends with '%')"),
        ("[a", "malformed pattern (missing ']')"),
        ("[]", "missing ']'"),
        ("[%", "missing ']'"),
        ("(a", "unfinished capture"),
        ("a)", "invalid pattern capture"),
        ("%1", "invalid capture index %1"),
        ("(%1)", "invalid capture index %1"),
        ("%b", "missing arguments to '%b'"),
        ("%bx", "missing arguments to '%b'"),
        ("%fx", "missing '[' after '%f'"),
        ("%0", "invalid capture index %0"),
    ] {
        let probe = pair.states.1.load("local find, p = ... local ok, e = pcall(find, 'a', p) return tostring(e)");
        let find: Function = pair.find.clone();
        let told: String = probe.call((find, pattern)).unwrap();
        assert!(told.contains(expected), "{pattern}: {told}");
    }
    let many = "()".repeat(33);
    let probe = pair.states.1.load("local find, p = ... local ok, e = pcall(find, 'a', p) return tostring(e)");
    assert!(probe.call::<String>((pair.find.clone(), many)).unwrap().contains("too many captures"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_pattern_gives_what_stock_lua_gives(
        text in "[ab1 (),]{0,12}",
        pattern in "(\\(|\\)|a|b|\\.|%[adswpDSW1bf%.]|\\[\\^?[ab%d-]{1,4}\\]|[*+?-]|\\^|\\$|1|,){0,7}",
        replacement in "[a%012]{0,4}",
        init in -4_i64..6,
    ) {
        PAIR.with(|pair| compare(pair, [&text, &pattern, &replacement], init))?;
    }
}

thread_local! {
    static PAIR: Pair = pair();
}
