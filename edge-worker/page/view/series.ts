import { conditionName } from "../state/conditions.ts";
import { type Conversation, meanOf, type Side, textOf } from "../state/conversation.ts";
import { type ChartSeries, shortNumber } from "./chart.ts";

/** The lines of a conversation's chart. */
export function seriesOf({ turns, settings }: Conversation, side: Side): ChartSeries[] {
  return settings.conditions.map((condition, column) => {
    const name = conditionName(condition);
    const points = turns.flatMap(({ user, replies }, turn) => {
      const reply = replies[column];
      const value = reply ? meanOf(reply, side) : null;
      if (!reply || value === null) return [];
      const said = `${clip(user)} → ${clip(textOf(reply))}`;
      return [
        {
          turn,
          value,
          label: `Turn ${turn + 1}, ${conditionName(reply.condition)}: ${shortNumber(value)}\n${said}`,
        },
      ];
    });
    return { name, column, points };
  });
}

function clip(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 59).trimEnd()}…`;
}
