"""The experiments there are, in the order in which ``make figures`` runs them, and their profiles."""

from loggrad_tf.data.request import DETECT_DATA

PROFILES = ("quick", "long", "folds", "paper")

EXPERIMENTS = {
    "fig01_pipeline": "Fig. 1: a photograph on its way, from the RAW codes to the class",
    "fig02_energy": "Fig. 2: energy of the stages from photosite to class",
    "fig03_illumination": "Fig. 3: log gradients do not see the illumination",
    "fig04_reconstruction": "Fig. 4 and 11: photographs reconstructed from their log gradients",
    "fig05_fronts": "Fig. 5 and 6: fronts of searches, resources against error, by input",
    "fig07_similarity": "Fig. 7, 8 and 13: similar filters of 2conv1fc",
    "fig09_filters": "Fig. 9: accuracy against the filters of the first layer",
    "fig10_brightness": "Fig. 10: accuracy against the brightness of the test images",
    "fig12_vww": "Fig. 12: person or not, on photographs turned into RAW",
    "thresholds": "Thresholds: fixed, quantile, searched, trained",
    "quantised_training": "int8 and ternary training against conversion after training",
    "adversarial": "Adversarial light: FGSM, PGD and a black-box attack",
    "mosaic": "Log gradients on the Bayer mosaic against gray",
    "multiscale": "Multi-scale read-out: 1, 2 and 4 pixels binned",
    "sensor": "Noise and depth of the sensor",
    "domains": "Accuracy by where the photographs come from",
    "detection": "Objects found and counted in whole frames, by input and brightness",
}


def room(name: str) -> str:
    """The package of experiments that holds one: the paper's figures, or what the paper left open."""
    return "figures" if name.startswith("fig") else "beyond"


def drawn(name: str) -> str:
    """The drawn data set of an experiment."""
    return DETECT_DATA if name == "detection" else "synthetic"
