"""The exercises of notebook 10: test cases, answers, and common mistakes with remarks."""

from ..task import Experiment, Prediction, Task, normal, numbers


def _ways():
    noise, images = normal(4, 1, 2, 2), normal(4, 1, 2, 2, seed=1)
    return [
        ("four times", (noise, images, numbers(0.25, 0.5, 0.75, 0.9))),
        ("the two ends", (noise[:2], images[:2], numbers(0.0, 1.0))),
    ]


def _flows():
    x = numbers(1.0, -2.0)
    return [
        ("a velocity that grows with time, 4 steps", (lambda x, t: x * 0 + 2 * t, x, 4)),
        ("a velocity that pulls to 0, 10 steps", (lambda x, t: -(1 + t) * x, x, 10)),
        ("one step", (lambda x, t: 1 - x + t, x, 1)),
    ]


def _steps():
    x = numbers(1.0, -2.0, 0.5)
    return [
        ("a velocity that pulls to 0", (lambda x, t: -x, x, 0.0, 0.5)),
        ("one that grows with time", (lambda x, t: x * 0 + t, x, 0.5, 0.25)),
        ("a step of length 0", (lambda x, t: x * t, x, 0.5, 0.0)),
    ]


def _guesses():
    guess, place = normal(3, 1, 2, 2), normal(3, 1, 2, 2, seed=1)
    return [
        ("three times", (guess, place, numbers(0.1, 0.5, 0.9))),
        ("the beginning", (guess[:1], place[:1], numbers(0.0))),
    ]


def _observed(function, *arguments):
    place, velocity = function(*arguments)
    return {"place": place, "velocity": velocity}


def _at(t):
    return t.view(-1, 1, 1, 1)


def _euler(velocity, x, steps):
    for i in range(steps):
        x = x + velocity(x, i / steps) / steps
    return x


def _euler_at_0(velocity, x, steps):
    for _ in range(steps):
        x = x + velocity(x, 0) / steps
    return x


def _euler_late(velocity, x, steps):
    for i in range(steps):
        x = x + velocity(x, (i + 1) / steps) / steps
    return x


def _euler_long(velocity, x, steps):
    for i in range(steps):
        x = x + velocity(x, i / steps)
    return x


def _heun(velocity, x, t, h):
    first = velocity(x, t)
    return x + h * (first + velocity(x + h * first, t + h)) / 2


TASKS = {
    "on_the_way": Task(
        _ways,
        lambda noise, images, t: ((1 - _at(t)) * noise + _at(t) * images, images - noise),
        (
            (
                "Time runs the other way here: 0 is noise, and 1 the image.",
                lambda noise, images, t: (
                    _at(t) * noise + (1 - _at(t)) * images,
                    images - noise,
                ),
            ),
            (
                "The velocity has the wrong sign: it leads away from the noise.",
                lambda noise, images, t: (
                    (1 - _at(t)) * noise + _at(t) * images,
                    noise - images,
                ),
            ),
            (
                "That is what is left of the way; the velocity is the same all the time.",
                lambda noise, images, t: (
                    (1 - _at(t)) * noise + _at(t) * images,
                    (1 - _at(t)) * (images - noise),
                ),
            ),
        ),
        (
            "Each image has a time of its own: give t the shape (N, 1, 1, 1).",
            "At t = 0 the place is the noise, at 1 the image. How fast does it go there?",
            "(1 - t) * noise + t * images, and images - noise",
        ),
        observe=_observed,
        shape="two tensors like the images",
    ),
    "euler": Task(
        _flows,
        _euler,
        (
            ("The time is asked for at the end of the step, not at its begin.", _euler_late),
            ("Each step is as long as the whole way: divide by the steps.", _euler_long),
        ),
        (
            "Which time does the velocity hear of in the second step?",
            "Step i of n begins at the time i / n.",
            "velocity(x, i / steps) / steps",
        ),
        faulty=_euler_at_0,
        shape="like x",
    ),
    "heun_step": Task(
        _steps,
        _heun,
        (
            (
                "That is Euler's step: the second velocity is not used.",
                lambda velocity, x, t, h: x + h * velocity(x, t),
            ),
            (
                "The two were added, not averaged: the step is twice as long.",
                lambda velocity, x, t, h: (
                    x + h * (velocity(x, t) + velocity(x + h * velocity(x, t), t + h))
                ),
            ),
            (
                "The second velocity is asked for where the step begins; go with Euler first.",
                lambda velocity, x, t, h: x + h * (velocity(x, t) + velocity(x, t + h)) / 2,
            ),
            (
                "The second velocity is asked for at the old time: it is t + h there.",
                lambda velocity, x, t, h: (
                    x + h * (velocity(x, t) + velocity(x + h * velocity(x, t), t)) / 2
                ),
            ),
        ),
        (
            "Two velocities: one here, one where Euler's step leads.",
            "The second is velocity(x + h * first, t + h).",
            "x + h * (first + second) / 2",
        ),
        shape="like x",
    ),
    "to_velocity": Task(
        _guesses,
        lambda guess, place, t: (guess - place) / (1 - _at(t)),
        (
            (
                "That is the way that is left; how much time is there for it?",
                lambda guess, place, t: guess - place,
            ),
            (
                "t is the time that is over; 1 - t is left.",
                lambda guess, place, t: (guess - place) / _at(t).clamp(min=1e-3),
            ),
            (
                "The sign is wrong: that leads away from the picture.",
                lambda guess, place, t: (place - guess) / (1 - _at(t)),
            ),
        ),
        (
            "Velocity is way over time. Both are those that are left.",
            "At time t there is 1 - t left, and guess - place to go.",
            "(guess - place) / (1 - t.view(-1, 1, 1, 1))",
        ),
        shape="like the guess",
    ),
    "first_guess": Prediction(
        "the mean of all digits",
        "at t = 0 the place is pure noise, and every digit is as probable as before. The mean "
        "velocity leads to the mean digit. A blur is the right answer to a squared error; no "
        "longer training makes it sharp.",
        (
            ("Which one? The noise does not say.", "a digit"),
            ("The step takes the noise away: x + v = x + mean - x.", "noise"),
        ),
        (
            "What does x_0 = z tell about the digit?",
            "Nothing. What is the mean of x - z over all digits x, for this z?",
            "The mean digit minus z; add that to z.",
        ),
        choices=("a digit", "the mean of all digits", "noise"),
    ),
    "heun_gain": Experiment(
        (3.6, 4.4),
        "Heun's method is of second order: half the step, a quarter of the error. Euler's is of "
        "first order: half the step, half the error. That is for a velocity without an error of "
        "its own; a net's error stays, however many steps there are.",
        (
            ("That is Euler's gain; Heun's is of second order.", (1.8, 2.2)),
            ("That is the error after the steps were doubled, over the one before.", (0.2, 0.3)),
            ("That is a third order's gain.", (7.5, 8.5)),
        ),
        (
            "Run heun_gain() in the cell.",
            "exercises.answer takes the number: write it in place of the dots.",
            'exercises.answer("heun_gain", heun_gain())',
        ),
    ),
}
