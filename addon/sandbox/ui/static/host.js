/* What does the site around a frame do for the add-on's pages? The other side of bridge.js: it opens the frame,
 * answers only messages that come from a frame it opened and from the origin it opened there, shows flags and
 * dialogs, and passes the colour mode on. */
(() => {
  "use strict";

  const SANDBOX = [
    "allow-downloads",
    "allow-forms",
    "allow-modals",
    "allow-popups",
    "allow-popups-to-escape-sandbox",
    "allow-scripts",
    "allow-same-origin",
    "allow-top-navigation-by-user-activation",
    "allow-storage-access-by-user-activation",
  ].join(" ");
  const SIZES = { small: [400, 300], medium: [600, 420], large: [800, 560], "x-large": [968, 680], fullscreen: [1600, 1200] };
  const SILENT_AFTER = 10000;
  const FLAG_SECONDS = 8;
  const MARKS = { info: "i", success: "✓", warning: "!", error: "!" };

  const frames = new Set();
  const dialogs = [];
  const flags = new Map();
  const root = document.documentElement;

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "onclick") made.addEventListener("click", value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  function openFrame(holder, module, surface) {
    const iframe = element("iframe", {
      sandbox: SANDBOX,
      title: module.title,
      name: JSON.stringify({ hostOrigin: location.origin, channel: module.channel, surface }),
      class: "ac-iframe",
    });
    const frame = { iframe, module, surface, holder, origin: new URL(module.src).origin, greeted: false };
    frames.add(frame);
    iframe.src = module.src;
    holder.append(iframe);
    setTimeout(() => {
      if (!frame.greeted && frames.has(frame)) holder.classList.add("is-silent");
    }, SILENT_AFTER);
    return frame;
  }

  window.addEventListener("message", async (event) => {
    const message = event.data;
    if (!message || message.ap !== 1) return;
    const frame = [...frames].find((known) => known.iframe.contentWindow === event.source);
    if (!frame || event.origin !== frame.origin || message.channel !== frame.module.channel) return;
    const answer = { reply: message.id };
    try {
      if (!Object.hasOwn(calls, message.call)) throw new Error(`the sandbox does not offer ${message.call}`);
      answer.value = await calls[message.call](frame, ...(message.args || []));
    } catch (error) {
      answer.error = error.message;
    }
    send(frame, answer);
  });

  function send(frame, message) {
    if (!frame.iframe.contentWindow) return;
    frame.iframe.contentWindow.postMessage({ ap: 1, channel: frame.module.channel, ...message }, frame.origin);
  }

  function tellAll(addonKey, name, ...args) {
    for (const frame of frames) if (frame.module.addonKey === addonKey) send(frame, { event: name, args });
  }

  async function fromSite(path, values) {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(values),
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.message || `the site answered ${answer.status}`);
    return body;
  }

  const place = (frame) => ({
    addonKey: frame.module.addonKey,
    moduleKey: frame.module.moduleKey,
    spaceKey: frame.module.spaceKey || null,
  });

  const calls = {
    hello(frame) {
      frame.greeted = true;
      frame.holder.classList.add("is-loaded");
      frame.holder.classList.remove("is-silent");
      return { surface: frame.surface };
    },
    async request(frame, options) {
      if ((options.type || "GET").toUpperCase() !== "GET") throw new Error("the sandbox lets pages only read as the person");
      return fromSite("/sandbox/ui/request", { ...place(frame), path: options.url });
    },
    async "context.getToken"(frame) {
      return (await fromSite("/sandbox/ui/token", place(frame))).token;
    },
    "context.getContext"(frame) {
      return frame.module.context;
    },
    "user.getTimeZone": () => root.dataset.timeZone,
    "user.getLocale": () => root.lang.replace("-", "_"),
    "user.getCurrentUser": () => ({ atlassianAccountId: root.dataset.account }),
    "theming.get": () => ({ colorMode: root.dataset.colorMode }),
    "events.emit"(frame, name, args) {
      tellAll(frame.module.addonKey, name, ...args);
    },
    resize(frame, width, height) {
      frame.holder.classList.remove("is-full");
      frame.iframe.style.width = typeof width === "number" ? `${width}px` : String(width);
      const pixels = Math.min(Math.max(Number.parseInt(height, 10) || 0, 60), 30000);
      if (frame.surface === "page") frame.iframe.style.height = `${pixels}px`;
    },
    sizeToParent(frame) {
      frame.iframe.style.removeProperty("height");
      frame.iframe.style.width = "100%";
      frame.holder.classList.add("is-full");
    },
    hideFooter: () => null,
    "flag.create": showFlag,
    "flag.close": (_frame, id) => closeFlag(id),
    "dialog.create": showDialog,
    "dialog.close"(frame, data) {
      const dialog = dialogs.find((open) => open.frame === frame) || dialogs[dialogs.length - 1];
      if (dialog) closeDialog(dialog, data);
    },
    "dialog.escape"(frame) {
      if (dialogOf(frame).closesOnEscape) closeDialog(dialogOf(frame));
    },
    "dialog.getCustomData": (frame) => dialogOf(frame).customData,
    "dialog.disableCloseOnSubmit"(frame) {
      dialogOf(frame).staysOpen = true;
    },
    "dialog.button"(frame, name, change) {
      const button = dialogOf(frame).buttons[name];
      if (!button) throw new Error(`the dialog has no button ${name}`);
      Object.assign(button, change);
    },
    "confluence.syncPropertyFromServer": (frame, key) => syncByline(key),
    "navigator.getLocation": () => location.href,
    "navigator.reload": () => location.reload(),
    "navigator.go"(frame, target, context) {
      location.assign(addressOf(frame, String(target).toLowerCase(), context || {}));
    },
  };

  function addressOf(frame, target, context) {
    const part = (name) => encodeURIComponent(context[name] || "");
    const addresses = {
      dashboard: () => "/wiki/home",
      contentview: () => `/wiki/pages/viewpage.action?pageId=${part("contentId")}`,
      spaceview: () => `/wiki/spaces/${part("spaceKey")}`,
      spacetools: () => `/wiki/spaces/${part("spaceKey")}/settings`,
      userprofile: () => `/wiki/people/${part("userAccountId") || root.dataset.account}`,
      addonmodule: () =>
        `/wiki/plugins/servlet/ac/${part("addonKey") || encodeURIComponent(frame.module.addonKey)}/${part("moduleKey")}` +
        customData(context.customData),
      site: () => `/wiki/${String(context.relativeUrl || "").replace(/^\/+(wiki\/)?/, "")}`,
    };
    if (!Object.hasOwn(addresses, target)) throw new Error(`navigator.go knows no target ${target}`);
    return addresses[target]();
  }

  function customData(values) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(values || {})) query.set(`ac.${name}`, value);
    return query.size ? `?${query}` : "";
  }

  function showFlag(frame, flag) {
    const shelf = document.getElementById("flags");
    const announce = flag.type === "error" || flag.type === "warning" ? "alert" : "status";
    const actions = Object.entries(flag.actions).map(([key, label]) =>
      element("button", { type: "button", class: "link-button", onclick: () => acted(frame, flag.id, key) }, String(label)),
    );
    const box = element(
      "div",
      { class: `flag flag-${MARKS[flag.type] ? flag.type : "info"}`, role: announce },
      element("span", { class: "flag-mark", "aria-hidden": "true" }, MARKS[flag.type] || "i"),
      element(
        "div",
        { class: "flag-words" },
        element("strong", {}, flag.title),
        ...(flag.body ? [element("p", {}, flag.body)] : []),
        ...(actions.length ? [element("div", { class: "flag-actions" }, ...actions)] : []),
      ),
      element("button", { type: "button", class: "icon-button", "aria-label": "Dismiss", onclick: () => closeFlag(flag.id) }, "✕"),
    );
    flags.set(flag.id, { box, addonKey: frame.module.addonKey });
    shelf.prepend(box);
    if (flag.close === "auto") setTimeout(() => closeFlag(flag.id), FLAG_SECONDS * 1000);
  }

  function acted(frame, id, key) {
    tellAll(frame.module.addonKey, "flag.action", { flagIdentifier: id, actionIdentifier: key });
  }

  function closeFlag(id) {
    const flag = flags.get(id);
    if (!flag) return;
    flags.delete(id);
    flag.box.remove();
    tellAll(flag.addonKey, "flag.close", { flagIdentifier: id });
  }

  function dialogOf(frame) {
    const dialog = dialogs.find((open) => open.frame === frame);
    if (!dialog) throw new Error("this page is not in a dialog");
    return dialog;
  }

  async function showDialog(opener, wanted) {
    mountDialog(opener, await fromSite("/sandbox/ui/module", { ...place(opener), moduleKey: wanted.key }), wanted);
  }

  function mountDialog(opener, module, wanted) {
    const [width, height] = SIZES[wanted.size] || [wanted.width || 600, wanted.height || 420];
    const body = element("div", { class: "dialog-body ac-frame" });
    const box = element("dialog", { class: "dialog", "aria-label": wanted.header || module.title });
    const closesOnEscape = wanted.closeOnEscape !== false;
    const dialog = { id: wanted.id, opener, box, closesOnEscape, customData: wanted.customData, staysOpen: false, buttons: {} };
    if (wanted.chrome !== false) {
      box.append(element("header", { class: "dialog-header" }, element("h2", {}, wanted.header || module.title)));
    }
    box.append(body);
    if (wanted.chrome !== false) box.append(dialogFooter(dialog, wanted));
    box.style.width = typeof width === "number" ? `${width}px` : width;
    body.style.height = typeof height === "number" ? `${height}px` : height;
    box.addEventListener("cancel", (event) => {
      event.preventDefault();
      if (closesOnEscape) closeDialog(dialog);
    });
    document.body.append(box);
    box.showModal();
    dialog.frame = openFrame(body, module, "dialog");
    dialogs.push(dialog);
  }

  function dialogFooter(dialog, wanted) {
    const pressed = (name) => () => {
      send(dialog.frame, { event: "dialog.button.click", args: [{ button: { name } }] });
      send(dialog.frame, { event: `dialog.${name}`, args: [] });
      if (!dialog.staysOpen) closeDialog(dialog);
    };
    const button = (name, label, kind) => {
      dialog.buttons[name] = element("button", { type: "button", class: `button ${kind}`, onclick: pressed(name) }, label);
      return dialog.buttons[name];
    };
    return element(
      "footer",
      { class: "dialog-footer" },
      button("cancel", wanted.cancelText || "Cancel", "button-subtle"),
      button("submit", wanted.submitText || "Submit", "button-primary"),
    );
  }

  function closeDialog(dialog, data) {
    const at = dialogs.indexOf(dialog);
    if (at < 0) return;
    dialogs.splice(at, 1);
    frames.delete(dialog.frame);
    dialog.box.close();
    dialog.box.remove();
    if (dialog.opener.iframe) send(dialog.opener, { event: "dialog.close", args: [data, dialog.id] });
    (dialog.opener.iframe || dialog.opener).focus();
  }

  const bylines = [...document.querySelectorAll("[data-ac-byline]")];
  const itemOf = (button) => JSON.parse(button.dataset.acByline);

  async function openByline(button) {
    const { addonKey, moduleKey, spaceKey, contentId, options } = itemOf(button);
    mountDialog(button, await fromSite("/sandbox/ui/module", { addonKey, moduleKey, spaceKey, contentId }), options);
  }

  async function syncByline(key) {
    for (const button of bylines.filter((each) => itemOf(each).propertyKey === key)) {
      const old = itemOf(button);
      const { items } = await fromSite("/sandbox/ui/byline", { contentId: old.contentId });
      const fresh = items.find((item) => item.addonKey === old.addonKey && item.moduleKey === old.moduleKey);
      if (!fresh) continue;
      button.title = fresh.tooltip;
      button.dataset.status = fresh.status;
      button.querySelector("img").src = fresh.icon;
      button.querySelector("span").textContent = fresh.name;
    }
  }

  for (const button of bylines) button.addEventListener("click", () => openByline(button));

  new MutationObserver(() => {
    for (const frame of frames) send(frame, { event: "theming.changed", args: [{ colorMode: root.dataset.colorMode }] });
  }).observe(root, { attributeFilter: ["data-color-mode"] });

  for (const holder of document.querySelectorAll("[data-ac-module]")) {
    openFrame(holder, JSON.parse(holder.dataset.acModule), "page");
  }
})();
