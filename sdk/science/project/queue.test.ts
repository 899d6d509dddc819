import { afterAll, expect, it } from "vitest";
import { randomAxis } from "../../../testing/fakes/model_axis.ts";
import { load, project } from "../../index.ts";
import type { Session } from "../../types.ts";

/** What a server says of a projection that it runs beside others: whose it is, and that it may not wait. */

const model = await load("capstan-tiny", { device: "wasm", max_queue: 0 });
const axis = randomAxis(model);
afterAll(() => model.dispose());
const talk = [
  { role: "user", content: "Who are you?" },
  { role: "assistant", content: "I am an assistant." },
];

it("goes to the scheduler as generate's does", async () => {
  const asked: unknown[] = [];
  const open = model.session.bind(model);
  const spied = Object.assign(Object.create(model), {
    session: async (options: object): Promise<Session> => {
      const session = await open(options);
      const forward = session.forward.bind(session);
      session.forward = (tokens, given) => {
        asked.push(given);
        return forward(tokens, given);
      };
      return session;
    },
  });
  const { turns } = await project(spied, talk, { axis, queue: "refuse", client: "ada" });
  expect(turns).toHaveLength(2);
  expect(asked).toEqual([{ logits: "none", queue: "refuse", client: "ada" }]);
});

it("is refused where it would have to wait and may not", async () => {
  const busy = Array.from({ length: 70 }, () => model.generate("Once", { max_tokens: 40, temperature: 0 }));
  await expect(project(model, talk, { axis, queue: "refuse" })).rejects.toMatchObject({ code: "busy" });
  expect((await project(model, talk, { axis, queue: "wait" })).turns).toHaveLength(2);
  await Promise.all(busy.map(({ result }) => result));
});

it("is checked as any option", async () => {
  const wrong = project(model, talk, { axis, queue: "never" as "wait" });
  await expect(wrong).rejects.toThrow(/queue to be "wait" or "refuse", found "never"/);
});
