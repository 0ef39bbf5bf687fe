/* What may a page inside the frame ask of the site around it? The sandbox's own bridge script, served as all.js:
 * the names that Connect pages use (docs/rules/connect.md 5.2), spoken over postMessage to the one parent with the one origin
 * that opened the frame. Opened outside a host, AP exists and AP.context does not (docs/rules/connect.md 5.7). */
(() => {
  "use strict";

  const script = document.currentScript || document.querySelector('script[src*="/sandbox/all.js"]');
  const scriptOrigin = script ? new URL(script.src, location.href).origin : location.origin;
  const options = readOptions();
  const host = readHost();
  const AP = {};
  window.AP = AP;

  function readOptions() {
    const holder = document.getElementById("ac-iframe-options") || script;
    const text = (holder && holder.getAttribute("data-options")) || "";
    const pairs = text.split(";").map((part) => part.split(":").map((word) => word.trim()));
    return Object.fromEntries(pairs.filter((pair) => pair.length === 2 && pair[0]));
  }

  /* The address the host put into the first URL; after a link inside the frame only window.name still carries it. */
  function readHost() {
    if (window.parent === window) return null;
    const query = new URLSearchParams(location.search);
    let named = {};
    try {
      named = JSON.parse(window.name) || {};
    } catch {
      named = {};
    }
    const origin = query.get("xdm_e") || named.hostOrigin;
    const channel = query.get("xdm_c") || named.channel;
    if (!origin || !channel) return null;
    return { origin: new URL(origin).origin, channel, surface: named.surface || "page" };
  }

  if (!host) return;

  const waiting = new Map();
  const listeners = new Map();
  let lastCall = 0;

  function post(message) {
    window.parent.postMessage({ ap: 1, channel: host.channel, ...message }, host.origin);
  }

  function ask(call, ...args) {
    const id = ++lastCall;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      post({ call, id, args });
    });
  }

  /* Every question answers as a promise and, when the last argument is a function, to that function too. */
  function askable(call) {
    return (...args) => {
      const callback = typeof args[args.length - 1] === "function" ? args.pop() : null;
      const answer = ask(call, ...args);
      if (callback) answer.then(callback, (error) => console.warn(`AP ${call}: ${error.message}`));
      return answer;
    };
  }

  function tell(call) {
    return (...args) => {
      ask(call, ...args).catch((error) => console.warn(`AP ${call}: ${error.message}`));
    };
  }

  window.addEventListener("message", (event) => {
    const message = event.data;
    if (event.source !== window.parent || event.origin !== host.origin) return;
    if (!message || message.ap !== 1 || message.channel !== host.channel) return;
    if (message.event) return deliver(message.event, message.args || []);
    const asked = waiting.get(message.reply);
    if (!asked) return;
    waiting.delete(message.reply);
    if (message.error === undefined) asked.resolve(message.value);
    else asked.reject(new Error(message.error));
  });

  function deliver(name, args) {
    for (const listener of [...(listeners.get(name) || [])]) listener(...args);
    for (const listener of [...(listeners.get("*") || [])]) listener(name, args);
  }

  AP.events = {
    on(name, listener) {
      if (!listeners.has(name)) listeners.set(name, new Set());
      listeners.get(name).add(listener);
    },
    once(name, listener) {
      const onlyOnce = (...args) => {
        AP.events.off(name, onlyOnce);
        listener(...args);
      };
      AP.events.on(name, onlyOnce);
    },
    off(name, listener) {
      if (listeners.has(name)) listeners.get(name).delete(listener);
    },
    offAll(name) {
      listeners.delete(name);
    },
    onAny(listener) {
      AP.events.on("*", listener);
    },
    offAny(listener) {
      AP.events.off("*", listener);
    },
    emit(name, ...args) {
      ask("events.emit", name, args);
    },
  };

  AP.context = { getToken: askable("context.getToken"), getContext: askable("context.getContext") };
  AP.user = {
    getTimeZone: askable("user.getTimeZone"),
    getLocale: askable("user.getLocale"),
    getCurrentUser: askable("user.getCurrentUser"),
  };
  /* Asks the site's API as the person who looks, below /wiki; what comes back is text, as from Connect's own. */
  AP.request = async (url, options) => {
    const wanted = typeof url === "string" ? { ...options, url } : { ...url };
    const { success, error, ...asked } = wanted;
    const answer = await ask("request", { url: asked.url, type: asked.type });
    const xhr = { status: answer.status, responseText: answer.body };
    if (answer.status >= 200 && answer.status < 300) {
      if (success) success(answer.body, "success", xhr);
      return { body: answer.body, xhr };
    }
    if (error) error(xhr, "error", answer.body);
    throw { xhr, err: answer.body };
  };
  AP.getLocation = askable("navigator.getLocation");
  AP.navigator = {
    go: tell("navigator.go"),
    reload: tell("navigator.reload"),
    getLocation: askable("navigator.getLocation"),
  };
  AP.confluence = { syncPropertyFromServer: askable("confluence.syncPropertyFromServer") };
  AP.hideFooter = tell("hideFooter");
  AP.sizeToParent = (hideFooter) => {
    stopFollowing();
    return tell("sizeToParent")(Boolean(hideFooter));
  };

  const ownHeight = () => Math.ceil(Math.max(document.body.offsetHeight, document.body.scrollHeight));
  AP.resize = (width, height) => tell("resize")(width || "100%", height || ownHeight());

  AP.flag = {
    create(flag) {
      const id = `flag-${host.channel}-${++lastCall}`;
      const own = new Map();
      const hear = (kind) => (data) => {
        if (data && data.flagIdentifier === id && own.has(kind)) own.get(kind)(data);
      };
      AP.events.on("flag.close", hear("close"));
      AP.events.on("flag.action", hear("action"));
      tell("flag.create")({
        id,
        title: String(flag.title || ""),
        body: String(flag.body || ""),
        type: flag.type || "info",
        close: flag.close || "manual",
        actions: flag.actions || {},
      });
      return { id, close: () => tell("flag.close")(id), on: (kind, listener) => own.set(kind, listener) };
    },
  };

  AP.dialog = {
    create(dialog) {
      const id = `dialog-${host.channel}-${++lastCall}`;
      const own = new Map();
      const onClose = (data, closed) => {
        if (closed !== id) return;
        AP.events.off("dialog.close", onClose);
        if (own.has("close")) own.get("close")(data);
      };
      AP.events.on("dialog.close", onClose);
      tell("dialog.create")({ ...dialog, id });
      return { id, on: (kind, listener) => own.set(kind, listener) };
    },
    close: (data) => tell("dialog.close")(data === undefined ? null : data),
    getCustomData: askable("dialog.getCustomData"),
    disableCloseOnSubmit: tell("dialog.disableCloseOnSubmit"),
    getButton: (name) => ({
      name,
      enable: () => tell("dialog.button")(name, { disabled: false }),
      disable: () => tell("dialog.button")(name, { disabled: true }),
      show: () => tell("dialog.button")(name, { hidden: false }),
      hide: () => tell("dialog.button")(name, { hidden: true }),
      bind: (listener) =>
        AP.events.on("dialog.button.click", (data) => {
          if (data.button.name === name) listener(data);
        }),
    }),
  };

  let themed = null;

  function applyTheme(theme) {
    const root = document.documentElement;
    root.setAttribute("data-theme", "light:light dark:dark spacing:spacing typography:typography");
    root.setAttribute("data-color-mode", theme.colorMode);
    if (host.surface === "dialog") root.setAttribute("data-surface", "overlay");
  }

  /* The attributes follow the stylesheet, so that no token is asked for before it is there. */
  function loadTokens() {
    return new Promise((resolve) => {
      const link = document.createElement("link");
      link.rel = "stylesheet";
      link.href = `${scriptOrigin}/sandbox/tokens.css`;
      link.addEventListener("load", resolve);
      link.addEventListener("error", resolve);
      document.head.append(link);
    });
  }

  AP.theming = {
    initializeTheming() {
      themed = themed || Promise.all([ask("theming.get"), loadTokens()]).then(([theme]) => {
        applyTheme(theme);
        AP.events.on("theming.changed", applyTheme);
      });
      return themed;
    },
  };

  let follower = null;

  function follow() {
    if (options.sizeToParent === "true") return void AP.sizeToParent(options.hideFooter === "true");
    if (options.resize === "false") return undefined;
    follower = new ResizeObserver(() => tell("resize")("100%", ownHeight()));
    follower.observe(document.body);
    return undefined;
  }

  function stopFollowing() {
    if (follower) follower.disconnect();
    follower = null;
  }

  function begin() {
    if (options.margin !== "false") document.body.style.setProperty("margin", "10px 10px 0 10px", "important");
    if (options.base === "true" && !document.querySelector("base")) {
      const base = document.createElement("base");
      base.href = `${host.origin}/wiki/`;
      base.target = "_parent";
      document.head.append(base);
    }
    follow();
  }

  /* Keys pressed in here never reach the host's own dialog element. */
  if (host.surface === "dialog") {
    window.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) tell("dialog.escape")();
    });
  }

  ask("hello", { url: location.pathname });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
