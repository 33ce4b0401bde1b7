"""Tasks, a worker beside the program, results, retries.

Prints::

    the sum is 42.0
    squares: [1, 4, 9]
    the flaky one took 3 attempts
    the bad one failed: ValueError: no such planet: Pluto
"""

from omniq import OmniQ, RetryPolicy, TaskFailedError, current_task

app = OmniQ("quickstart.db")


@app.task
def add(numbers: list[float]) -> float:
    return sum(numbers)


@app.task
async def square(number: int) -> int:
    return number * number


@app.task(retry=RetryPolicy(delays=[0.01, 0.02]))
def flaky() -> int:
    task = current_task()
    if task.attempt < task.max_attempts:
        raise ConnectionError("try again")
    return task.attempt


@app.task(retry=RetryPolicy.none())
def visit(planet: str) -> str:
    if planet == "Pluto":
        raise ValueError(f"no such planet: {planet}")
    return f"hello from {planet}"


def main() -> None:
    with app, app.worker():
        print("the sum is", add.enqueue([40, 2.0]).result(timeout=30))
        print("squares:", [job.result(timeout=30) for job in square.enqueue_many([(1,), (2,), (3,)])])
        print("the flaky one took", flaky.enqueue().result(timeout=30), "attempts")
        try:
            visit.enqueue("Pluto").result(timeout=30)
        except TaskFailedError as error:
            print(f"the bad one failed: {error.error_type}: {error.error_message}")


if __name__ == "__main__":
    main()
