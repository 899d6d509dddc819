"""How the model is to be collected, and with which roles and questions: one source for the data files and the dev
evaluation."""

from corpus import CHATS, HELD_OUT_CHATS, article
from personas import GROUPS, ROLES, SYSTEM_TEMPLATES, Role

COLLECT = {
    "temperature": 0.7,
    "top_p": 0.9,
    "max_tokens": 48,
    "samples": 1,
    "min_count": 5,
    "seed": 7,
    "questions_per_instruction": 2,
}
QUESTIONS = CHATS[:9] + HELD_OUT_CHATS
DEFAULT_INSTRUCTIONS = [
    "",
    "You are an AI assistant.",
    "You are a large language model.",
    "You are Capstan.",
    "Respond as yourself.",
]
PER_GROUP = 12  # as many roles of each group, so that the axis is not drawn towards the many near ones


def collected_roles() -> list[Role]:
    """A set balanced between groups, and between themes within a group."""
    chosen = []
    for group in GROUPS:
        of_group = [role for role in ROLES if role.group == group]
        by_theme: dict[str, list[Role]] = {}
        for role in of_group:
            by_theme.setdefault(role.theme, []).append(role)
        rounds = [roles[i] for i in range(len(of_group)) for roles in by_theme.values() if i < len(roles)]
        chosen += rounds[:PER_GROUP]
    return chosen


def instructions(role: Role) -> list[str]:
    """Five system prompts for a role."""
    return [template.format(who=article(role.name)) for template in SYSTEM_TEMPLATES[:5]]


def collection_prompts() -> list[dict]:
    """{role, messages} of every response: the default with all questions, a role with two by turns an instruction."""
    prompts = [
        {"role": "default", "messages": conversation(text, question)}
        for text in DEFAULT_INSTRUCTIONS
        for question in QUESTIONS
    ]
    per, turn = COLLECT["questions_per_instruction"], 0
    for role in collected_roles():
        for text in instructions(role):
            for _ in range(per):
                question = QUESTIONS[turn % len(QUESTIONS)]
                prompts.append({"role": role.name, "messages": conversation(text, question)})
                turn += 1
    return prompts


def conversation(system: str, user: str) -> list[dict[str, str]]:
    head = [{"role": "system", "content": system}] if system else []
    return [*head, {"role": "user", "content": user}]
