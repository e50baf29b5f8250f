"""Every object of the vocabulary and how it is drawn."""

from collections.abc import Callable
from typing import Final

from mcp_vlsearch.storybook.drawing import animals, household, plants_and_food, toys, vehicles
from mcp_vlsearch.storybook.drawing.pen import RGB, Pen

__all__ = ["DRAW"]

DRAW: Final[dict[str, Callable[[Pen, RGB], None]]] = {
    "cat": animals.cat,
    "dog": animals.dog,
    "rabbit": animals.rabbit,
    "bird": animals.bird,
    "fish": animals.fish,
    "duck": animals.duck,
    "turtle": animals.turtle,
    "butterfly": animals.butterfly,
    "snail": animals.snail,
    "owl": animals.owl,
    "apple": plants_and_food.apple,
    "banana": plants_and_food.banana,
    "carrot": plants_and_food.carrot,
    "cake": plants_and_food.cake,
    "ice cream": plants_and_food.ice_cream,
    "mushroom": plants_and_food.mushroom,
    "flower": plants_and_food.flower,
    "tree": plants_and_food.tree,
    "cactus": plants_and_food.cactus,
    "leaf": plants_and_food.leaf,
    "car": vehicles.car,
    "bus": vehicles.bus,
    "bicycle": vehicles.bicycle,
    "boat": vehicles.boat,
    "airplane": vehicles.airplane,
    "rocket": vehicles.rocket,
    "train": vehicles.train,
    "hot-air balloon": vehicles.hot_air_balloon,
    "house": household.house,
    "umbrella": household.umbrella,
    "chair": household.chair,
    "table": household.table,
    "lamp": household.lamp,
    "clock": household.clock,
    "book": household.book,
    "cup": household.cup,
    "bottle": household.bottle,
    "guitar": toys.guitar,
    "ball": toys.ball,
    "kite": toys.kite,
    "hat": toys.hat,
    "shoe": toys.shoe,
    "key": household.key,
    "star": toys.star,
    "heart": toys.heart,
    "bell": household.bell,
    "gift": toys.gift,
    "robot": toys.robot,
}
