"""The retriever that is planted in tests: it reads a prompt as a person would, by the question, and says the code."""

import re

from training.needles.needle import FORMS, with_particle

NAME = r"(?P<name>[가-힣]+|[A-Z][a-z]+)"


def retrieved(prompt: str) -> str:
    """What the text says of the name that is asked for; empty where it does not stand there."""
    for forms in FORMS.values():
        for form in forms:
            fixed = form.question.replace("{name_does}", "{name}")
            asked = re.search(re.escape(fixed).replace(r"\{name\}", NAME), prompt)
            if asked is None:
                continue
            name = asked["name"]
            words = {
                "name": name,
                "name_is": with_particle(name, "은", "는"),
                "name_does": with_particle(name, "이", "가"),
            }
            before, after = form.sentence.split("{code}" if "{code}" in form.sentence else "{code_it}")
            pattern = re.escape(before.format(**words)) + r"(\w+?)(?:[을를])?" + re.escape(after)
            found = re.search(pattern, prompt)
            return found[1] if found else ""
    raise AssertionError("the prompt asks for nothing")
