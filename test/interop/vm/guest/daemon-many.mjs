// Many sessions in one tunnel. Linux 6.1 removes them in the background, one after the other, for up to 18 s: the other
// end makes no devices, or it would be twice that.
import { bothUp, equal, leftIn, note, scenario, startBoth, within } from "./daemon-lab.mjs";

const SESSIONS = 500;
const PATIENCE_MS = 90_000;
const names = Array.from({ length: SESSIONS }, (_, i) => `s${i + 1}`);
const interfaces = names.map((name) => `l2-${name}`).sort();

function settings(datapath) {
  return {
    lcce: { log_level: "info", datapath },
    tunnel: { hello_interval: "30s", retransmit: { initial: "1s", retries: 5, sccrq_retries: 5 } },
    sessions: Object.fromEntries(names.map((name) => [name, { interface: `l2-${name}` }])),
  };
}

function checkNames(when, site) {
  equal(`${when}: there is a device for each session, with its name`, site.devices().join(), interfaces.join());
  equal(`${when}: ip l2tp shows as many`, site.l2tp("session").match(/^Session/gm)?.length, SESSIONS);
}

await scenario(`${SESSIONS} sessions`, async (sites) => {
  const ends = { a: settings("kernel"), b: settings("none"), milliseconds: PATIENCE_MS };
  const { a, b } = await startBoth(sites, `${SESSIONS} sessions come up`, ends);
  checkNames("up", sites.a);
  const ended = performance.now();
  const { end, tookMs } = await a.stop();
  equal(`${SESSIONS} sessions: exit code 0 after SIGTERM`, end, 0);
  note(`SIGTERM took ${tookMs} ms, ${sites.a.devices().length} devices are still on their way out`);

  const again = sites.start(sites.a, settings("kernel"));
  await bothUp("started again right after: all come up", again, b, { milliseconds: PATIENCE_MS });
  note(`all up ${Math.round(performance.now() - ended)} ms after SIGTERM`);
  checkNames("started again", sites.a);
  equal("started again: nothing was refused meanwhile", again.warnings(), []);

  await again.stop("SIGKILL");
  const third = sites.start(sites.a, settings("kernel"));
  await bothUp("killed and started again: all come up", third, b, { milliseconds: PATIENCE_MS });
  equal("killed and started again: nothing was refused meanwhile", third.warnings(), []);

  await third.stop();
  const gone = () => leftIn(sites.a) === "";
  const { tookMs: goneMs } = await within("after SIGTERM tunnel, sessions and devices vanish", PATIENCE_MS, gone);
  note(`all gone after ${goneMs} ms`);
});
