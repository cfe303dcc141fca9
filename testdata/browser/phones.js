// The phones of test pages, each with the same three functions: start(options) has
// it register, stay registered and come back when it was cut off; register() has it
// refresh; stop() has it unregister. What happens stands in phone.happened.
import JsSIP from "jssip";
import { Registerer, RegistererState, UserAgent } from "sip.js";

function jssip({ server, aor, authname, secret, expires }) {
  const phone = { happened: [] };
  const ua = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(server)], uri: aor, authorization_user: authname, password: secret,
    register_expires: expires, connection_recovery_min_interval: 1, connection_recovery_max_interval: 1,
  });
  for (const name of ["connected", "disconnected", "registered", "unregistered", "registrationFailed"]) {
    ua.on(name, (event) => phone.happened.push(name + (event?.cause ? ": " + event.cause : "")));
  }
  phone.start = () => ua.start();
  phone.register = () => ua.register();
  phone.stop = () => ua.stop();
  return phone;
}

function sipjs({ server, aor, authname, secret, expires }) {
  const phone = { happened: [] };
  const ua = new UserAgent({
    uri: UserAgent.makeURI(aor), authorizationUsername: authname, authorizationPassword: secret,
    transportOptions: { server }, logBuiltinEnabled: false,
  });
  const registerer = new Registerer(ua, { expires, refreshFrequency: 50 });
  const register = () => registerer.register({ requestDelegate: {
    onAccept: () => phone.happened.push("registered"),
    onReject: (response) => phone.happened.push("registrationFailed: " + response.message.statusCode),
  } });
  registerer.stateChange.addListener((state) => {
    if (state === RegistererState.Unregistered) phone.happened.push("unregistered");
  });
  // As its guide has it: to come back is left to the page.
  const comeBack = () => ua.reconnect().then(register, () => setTimeout(comeBack, 1000));
  ua.delegate = {
    onConnect: () => phone.happened.push("connected"),
    onDisconnect: (error) => {
      phone.happened.push("disconnected");
      if (error) comeBack();
    },
  };
  phone.start = () => ua.start().then(register);
  phone.register = register;
  phone.stop = () => registerer.unregister();
  return phone;
}

export function start(name, options) {
  const phone = { jssip, sipjs }[name](options);
  phone.start();
  return phone;
}
