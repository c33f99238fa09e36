// A page that watches alice for dialog and presence, and says in the console what it is told.
const JsSIP = require("jssip");

const server = new URLSearchParams(location.search).get("server");
const socket = new JsSIP.WebSocketInterface(server);
const ua = new JsSIP.UA({ sockets: [socket], uri: "sip:page@127.0.0.1", register: false });

function watch(event, accept, pattern) {
  const subscription = ua.subscribe("sip:alice@127.0.0.1", event, accept, { expires: 600 });
  subscription.on("notify", (isFinal, request, body) => {
    const found = pattern.exec(body || "");
    console.log(`LAMP ${event} ${found ? found[1] : "nothing"}`);
  });
  subscription.on("terminated", (code) => console.log(`TERMINATED ${event} ${code}`));
  subscription.subscribe();
}

ua.on("disconnected", (reason) => console.log(`DISCONNECTED ${reason.code} ${reason.reason}`));
ua.on("connected", () => {
  console.log("CONNECTED");
  watch("dialog", "application/dialog-info+xml", /<state>([a-z]+)<\/state>/);
  watch("presence", "application/pidf+xml", /<basic>([a-z]+)<\/basic>/);
});
ua.start();
