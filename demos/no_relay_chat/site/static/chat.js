// The chat's own part of the page: what there is comes by the procedure "news", which is asked when a counter moves.
// Names and messages are only ever put into the page as text.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const HISTORY = 200;
  const SIGN_EVERY = 60000;
  const find = (id) => document.getElementById(id);

  let me = null;
  // What was read so far of each log, by the id of its channel or person.
  let at = {};
  // Talks by id: channels "c…", and private ones by the other's "p…".
  let talks = new Map();
  let lobby = { people: [], channels: [] };
  let open = null;
  // The channel that is shown as soon as it is told of.
  let wanted = null;
  let ends = [];

  // Calls -------------------------------------------------------------------------------------------------------

  function tell(id, text) {
    find(id).textContent = text;
    find(id).hidden = !text;
  }

  async function ask(name, args = {}) {
    try {
      const reply = await rpc(name, args, { fill: false });
      tell("problem", "");
      return reply;
    } catch (error) {
      if (error.status === 401) logged_out();
      else tell("problem", error.message);
      return null;
    }
  }

  // Never two at once; what changes meanwhile is asked for once more.
  function one_at_a_time(run) {
    let is_running = false;
    let is_wanted = false;
    return async () => {
      is_wanted = true;
      if (is_running) return;
      is_running = true;
      while (is_wanted) {
        is_wanted = false;
        await run();
      }
      is_running = false;
    };
  }

  const read_news = one_at_a_time(async () => {
    if (!me) return;
    const news = await ask("news", { at });
    if (!news || !me) return;
    if (!news.me) logged_out();
    else if (news.me.id === me.id) take(news);
    else logged_in(news);
  });

  const read_lobby = one_at_a_time(async () => {
    const found = me && (await ask("lobby"));
    if (!found) return;
    lobby = found;
    show_side();
    show_members();
  });

  // News --------------------------------------------------------------------------------------------------------

  function talk_of(id, name) {
    if (!talks.has(id)) talks.set(id, { id, name, entries: [], unread: 0, is_private: id.startsWith("p") });
    return talks.get(id);
  }

  function add(talk, entry, is_new) {
    talk.entries.push(entry);
    if (talk.entries.length > HISTORY) talk.entries.shift();
    const is_message = entry.kind === "said" || entry.kind === "whispered";
    if (is_new && is_message && entry.who !== me.name && (talk.id !== open || document.hidden)) talk.unread += 1;
  }

  function take({ channels, desk }) {
    const is_first = Object.keys(at).length === 0;
    const mine = new Set(channels.map((channel) => channel.id));
    for (const channel of channels) {
      const is_new = talks.has(channel.id);
      const talk = Object.assign(talk_of(channel.id, channel.name), channel, { entries: talks.get(channel.id).entries });
      for (const { time, value } of channel.entries) add(talk, { ...value, time }, is_new);
      at[channel.id] = channel.next;
    }
    // A channel that is not told of is one that is closed, or that one has left.
    for (const talk of [...talks.values()].filter(({ id, is_private }) => !is_private && !mine.has(id))) drop(talk.id);
    for (const { time, value } of desk.entries) take_from_desk({ ...value, time }, !is_first);
    at[me.id] = desk.next;
    if (open === null && channels.length > 0) open = channels[0].id;
    if (mine.has(wanted)) {
      go(wanted);
      wanted = null;
    } else show();
  }

  function take_from_desk(entry, is_new) {
    if (entry.kind === "whispered") {
      const is_mine = entry.from === me.id;
      const talk = talk_of(is_mine ? entry.to : entry.from, is_mine ? entry.to_name : entry.from_name);
      add(talk, { ...entry, who: entry.from_name }, is_new);
    } else if (is_new) {
      const by = entry.by ? ` by ${entry.by}` : "";
      if (entry.kind === "invited") tell("notice", `You were invited to #${entry.channel}${by}: join it by its name.`);
      if (entry.kind === "invited") find("join").elements.channel.value = entry.channel;
      if (entry.kind === "invited") find("joining").open = true;
      if (entry.kind === "kicked") tell("notice", `You were kicked from #${entry.channel}${by}.`);
      if (entry.kind === "closed") tell("notice", `#${entry.channel} was closed${by}.`);
    }
  }

  function drop(id) {
    talks.delete(id);
    delete at[id];
    if (open === id) open = null;
  }

  // Showing -----------------------------------------------------------------------------------------------------

  function make(tag, text = "", className = "") {
    const element = document.createElement(tag);
    element.textContent = text;
    element.className = className;
    return element;
  }

  function row(text, { soft = "", unread = 0, is_current = false }, on_click) {
    const button = make("button");
    button.type = "button";
    button.append(make("span", text), make("span", soft, "soft"), make("b", unread || "", "unread"));
    if (is_current) button.setAttribute("aria-current", "true");
    button.addEventListener("click", on_click);
    const item = make("li");
    item.append(button);
    return item;
  }

  function show_side() {
    const joined = [...talks.values()].filter((talk) => !talk.is_private);
    const names = new Set(joined.map((talk) => talk.name.toLowerCase()));
    const rows = joined.map((talk) =>
      row(`#${talk.name}`, { soft: marks(talk), unread: talk.unread, is_current: talk.id === open }, () => go(talk.id)));
    for (const channel of lobby.channels.filter(({ name }) => !names.has(name.toLowerCase()))) {
      const soft = channel.is_invite_only ? "by invitation" : `join (${channel.members})`;
      rows.push(row(`#${channel.name}`, { soft }, () => enter("join", { channel: channel.name })));
    }
    find("channels").replaceChildren(...rows);

    const here = new Map(lobby.people.map((person) => [person.id, person.name]));
    const others = [...here].filter(([id]) => id !== me.id);
    for (const talk of talks.values()) if (talk.is_private && !here.has(talk.id)) others.push([talk.id, talk.name]);
    find("people").replaceChildren(...others.map(([id, name]) => {
      const unread = talks.get(id)?.unread || 0;
      return row(name, { soft: here.has(id) ? "" : "gone", unread, is_current: id === open }, () => {
        talk_of(id, name);
        go(id);
      });
    }));

    const unread = [...talks.values()].reduce((sum, talk) => sum + talk.unread, 0);
    document.title = unread ? `(${unread}) No Relay Chat` : "No Relay Chat";
    find("unread_elsewhere").textContent = unread || "";
  }

  function marks(talk) {
    return [talk.is_secret && "secret", talk.is_invite_only && "by invitation"].filter(Boolean).join(", ");
  }

  const SAYS = {
    joined: (entry) => `${entry.who} has joined`,
    left: (entry) => `${entry.who} has left`,
    kicked: (entry) => `${entry.who} was kicked by ${entry.by}`,
    operator: (entry) => `${entry.who} was made an operator by ${entry.by}`,
  };

  function line(entry) {
    const item = make("li");
    const time = new Date(entry.time * 1000);
    const clock = make("time", time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
    clock.dateTime = time.toISOString();
    item.append(clock);
    const event = SAYS[entry.kind];
    if (event) {
      item.className = "event";
      item.append(event(entry));
    } else {
      item.className = entry.who === me.name ? "mine" : "";
      item.append(make("span", entry.who, "from"), make("span", entry.text, "text"));
    }
    return item;
  }

  function show_talk() {
    const talk = talks.get(open);
    find("open_talk").hidden = !talk;
    find("nothing_open").hidden = Boolean(talk);
    if (!talk) return;
    if (!document.hidden) talk.unread = 0;
    find("talk_name").textContent = talk.is_private ? talk.name : `#${talk.name}`;
    find("talk_marks").textContent = talk.is_private ? "private" : marks(talk);
    find("leave").hidden = talk.is_private;
    find("close").hidden = !talk.is_operator;
    const list = find("messages");
    const is_at_end = list.dataset.talk !== talk.id || list.scrollHeight - list.scrollTop - list.clientHeight < 60;
    list.replaceChildren(...talk.entries.map(line));
    list.dataset.talk = talk.id;
    if (is_at_end) list.scrollTop = list.scrollHeight;
  }

  function show_members() {
    const talk = talks.get(open);
    find("member_list").hidden = !talk || talk.is_private;
    if (!talk || talk.is_private) return;
    find("member_count").textContent = talk.members.length === 1 ? "1 member" : `${talk.members.length} members`;
    find("members").replaceChildren(...talk.members.map((member) => {
      const item = make("li");
      item.append(make("span", member.name), make("span", member.is_operator ? "operator" : "", "soft"));
      if (talk.is_operator && member.id !== me.id) {
        for (const [name, text] of [["kick", "Kick"], ...(member.is_operator ? [] : [["op", "Make operator"]])]) {
          const button = make("button", text, name);
          button.type = "button";
          button.addEventListener("click", () => ask(name, { channel: talk.id, person: member.id }));
          item.append(button);
        }
      }
      return item;
    }));
    const inside = new Set(talk.members.map((member) => member.id));
    const outside = lobby.people.filter(({ id }) => !inside.has(id));
    const choice = find("invite").elements.person;
    const chosen = choice.value;
    choice.replaceChildren(...outside.map(({ id, name }) => Object.assign(make("option", name), { value: id })));
    if (outside.some(({ id }) => id === chosen)) choice.value = chosen;
    find("invite").hidden = outside.length === 0 || (talk.is_invite_only && !talk.is_operator);
  }

  function show() {
    show_talk();
    show_members();
    show_side();
  }

  function go(id) {
    open = id;
    find("chat").classList.remove("side");
    tell("notice", "");
    show();
    find("say").elements.text.focus();
  }

  // Makes or joins a channel and shows it; what it was asked by is folded up.
  async function enter(name, args, form) {
    const reply = await ask(name, args);
    if (!reply) return;
    if (form) {
      form.reset();
      form.closest("details").open = false;
    }
    wanted = reply.channel;
    await read_news();
  }

  // Coming and going ----------------------------------------------------------------------------------------------

  function logged_in(news) {
    for (const end of ends) end();
    me = news.me;
    at = {};
    talks = new Map();
    open = null;
    find("my_name").textContent = me.name;
    for (const [id, is_shown] of [["log_in_page", false], ["chat", true], ["who", true]]) find(id).hidden = !is_shown;
    take(news);
    const sign = setInterval(read_news, SIGN_EVERY);
    ends = [
      dropstar.on("counter", me.feed, read_news),
      dropstar.on("counter", "chat_lobby", read_lobby),
      () => clearInterval(sign),
    ];
    read_lobby();
  }

  function logged_out() {
    for (const end of ends) end();
    [ends, me, talks, open] = [[], null, new Map(), null];
    for (const [id, is_shown] of [["log_in_page", true], ["chat", false], ["who", false]]) find(id).hidden = !is_shown;
    document.title = "No Relay Chat";
    find("messages").replaceChildren();
    find("log_in").elements.name.focus();
  }

  async function begin() {
    const news = await ask("news");
    if (news?.me) logged_in(news);
    else if (news) logged_out();
  }

  function on_submit(id, run) {
    find(id).addEventListener("submit", async (event) => {
      event.preventDefault();
      await run(event.target, event.target.elements);
    });
  }

  on_submit("log_in", async (form, { name }) => {
    if (await ask("log_in", { name: name.value })) await begin();
  });
  on_submit("create", async (form, { channel, secret, invite_only }) => {
    const args = { channel: channel.value, secret: secret.checked, invite_only: invite_only.checked };
    await enter("create", args, form);
  });
  on_submit("join", (form, { channel }) => enter("join", { channel: channel.value }, form));
  on_submit("invite", async (form, { person }) => {
    const name = person.selectedOptions[0]?.textContent;
    if (await ask("invite", { channel: open, person: person.value })) tell("notice", `${name} was invited.`);
  });
  on_submit("say", async (form, { text }) => {
    const said = text.value;
    if (!said.trim()) return;
    // Emptied at once: who types fast need not wait for the answer; what was refused comes back.
    text.value = "";
    const talk = talks.get(open);
    const args = talk.is_private ? { person: talk.id } : { channel: talk.id };
    const reply = await ask(talk.is_private ? "whisper" : "say", { ...args, text: said });
    if (!reply && !text.value) text.value = said;
  });
  find("leave").addEventListener("click", () => ask("leave", { channel: open }));
  find("close").addEventListener("click", () => {
    if (window.confirm(`Close #${talks.get(open).name} for everybody, with its history?`)) ask("close", { channel: open });
  });
  find("log_out").addEventListener("click", async () => {
    if (await ask("log_out")) logged_out();
  });
  find("open_side").addEventListener("click", () => find("chat").classList.toggle("side"));
  document.addEventListener("visibilitychange", () => {
    if (me && !document.hidden) show();
  });
  begin();
});
