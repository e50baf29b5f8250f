"use strict";

/* The Apps protocol: JSON-RPC by postMessage, with the host whose frame this page is in. */

const PROTOCOL = "2026-01-26";

class Host {
  #last = 0;
  #waiting = new Map();
  #handlers = new Map();

  constructor() {
    this.context = {};
    window.addEventListener("message", (event) => {
      if (event.source === window.parent && event.data?.jsonrpc === "2.0") this.#receive(event.data);
    });
  }

  /** Handle a notification; to be said before connect(). */
  on(method, handler) {
    this.#handlers.set(method, handler);
  }

  /** Introduce the page; the host then says how it looks and, later, what was found. */
  async connect() {
    const answer = await this.request("ui/initialize", {
      protocolVersion: PROTOCOL,
      appInfo: { name: "mcp-vlsearch gallery", version: "1" },
      appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
    });
    this.#merge(answer.hostContext);
    this.notify("ui/notifications/initialized", {});
  }

  /** Call a tool of our server; throws with what it says is wrong. */
  async tool(name, given) {
    const result = await this.request("tools/call", { name, arguments: given });
    if (result.isError) throw new Error(textOf(result) || `${name} failed`);
    return result;
  }

  request(method, params) {
    const id = ++this.#last;
    window.parent.postMessage({ jsonrpc: "2.0", id, method, params }, "*");
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  notify(method, params) {
    window.parent.postMessage({ jsonrpc: "2.0", method, params }, "*");
  }

  #receive(message) {
    if (message.method === undefined) this.#settle(message);
    else if (message.id !== undefined) this.#answer(message);
    else if (message.method === "ui/notifications/host-context-changed") this.#merge(message.params);
    else this.#handlers.get(message.method)?.(message.params ?? {});
  }

  #settle({ id, result, error }) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) waiting?.reject(new Error(error.message || "the host refused"));
    else waiting?.resolve(result ?? {});
  }

  #answer({ id, method }) {
    const known = method === "ping" || method === "ui/resource-teardown";
    const answer = known ? { result: {} } : { error: { code: -32601, message: "Method not found" } };
    window.parent.postMessage({ jsonrpc: "2.0", id, ...answer }, "*");
  }

  #merge(context) {
    this.context = { ...this.context, ...context };
    this.#handlers.get("context")?.(this.context);
  }
}

/** The text of a tool's result. */
function textOf(result) {
  return (result.content ?? []).filter((part) => part.type === "text").map((part) => part.text).join(" ");
}
