"""SOP classes by keyword (PS3.6 Table A-1), grouped by the service class they belong to (PS3.4)."""

from __future__ import annotations

VERIFICATION: dict[str, str] = {
    "Verification": "1.2.840.10008.1.1",
}

QUERY_RETRIEVE: dict[str, str] = {
    "RepositoryQuery": "1.2.840.10008.5.1.4.1.1.201.6",
    "PatientRootQueryRetrieveInformationModelFind": "1.2.840.10008.5.1.4.1.2.1.1",
    "PatientRootQueryRetrieveInformationModelMove": "1.2.840.10008.5.1.4.1.2.1.2",
    "PatientRootQueryRetrieveInformationModelGet": "1.2.840.10008.5.1.4.1.2.1.3",
    "StudyRootQueryRetrieveInformationModelFind": "1.2.840.10008.5.1.4.1.2.2.1",
    "StudyRootQueryRetrieveInformationModelMove": "1.2.840.10008.5.1.4.1.2.2.2",
    "StudyRootQueryRetrieveInformationModelGet": "1.2.840.10008.5.1.4.1.2.2.3",
    "PatientStudyOnlyQueryRetrieveInformationModelFind": "1.2.840.10008.5.1.4.1.2.3.1",
    "PatientStudyOnlyQueryRetrieveInformationModelMove": "1.2.840.10008.5.1.4.1.2.3.2",
    "PatientStudyOnlyQueryRetrieveInformationModelGet": "1.2.840.10008.5.1.4.1.2.3.3",
    "CompositeInstanceRootRetrieveMove": "1.2.840.10008.5.1.4.1.2.4.2",
    "CompositeInstanceRootRetrieveGet": "1.2.840.10008.5.1.4.1.2.4.3",
    "CompositeInstanceRetrieveWithoutBulkDataGet": "1.2.840.10008.5.1.4.1.2.5.3",
}

STORAGE: dict[str, str] = {
    "ComputedRadiographyImageStorage": "1.2.840.10008.5.1.4.1.1.1",
    "DigitalXRayImageStorageForPresentation": "1.2.840.10008.5.1.4.1.1.1.1",
    "DigitalXRayImageStorageForProcessing": "1.2.840.10008.5.1.4.1.1.1.1.1",
    "DigitalMammographyXRayImageStorageForPresentation": "1.2.840.10008.5.1.4.1.1.1.2",
    "DigitalMammographyXRayImageStorageForProcessing": "1.2.840.10008.5.1.4.1.1.1.2.1",
    "DigitalIntraOralXRayImageStorageForPresentation": "1.2.840.10008.5.1.4.1.1.1.3",
    "DigitalIntraOralXRayImageStorageForProcessing": "1.2.840.10008.5.1.4.1.1.1.3.1",
    "CTImageStorage": "1.2.840.10008.5.1.4.1.1.2",
    "EnhancedCTImageStorage": "1.2.840.10008.5.1.4.1.1.2.1",
    "LegacyConvertedEnhancedCTImageStorage": "1.2.840.10008.5.1.4.1.1.2.2",
    "UltrasoundMultiFrameImageStorage": "1.2.840.10008.5.1.4.1.1.3.1",
    "MRImageStorage": "1.2.840.10008.5.1.4.1.1.4",
    "EnhancedMRImageStorage": "1.2.840.10008.5.1.4.1.1.4.1",
    "MRSpectroscopyStorage": "1.2.840.10008.5.1.4.1.1.4.2",
    "EnhancedMRColorImageStorage": "1.2.840.10008.5.1.4.1.1.4.3",
    "LegacyConvertedEnhancedMRImageStorage": "1.2.840.10008.5.1.4.1.1.4.4",
    "UltrasoundImageStorage": "1.2.840.10008.5.1.4.1.1.6.1",
    "EnhancedUSVolumeStorage": "1.2.840.10008.5.1.4.1.1.6.2",
    "PhotoacousticImageStorage": "1.2.840.10008.5.1.4.1.1.6.3",
    "SecondaryCaptureImageStorage": "1.2.840.10008.5.1.4.1.1.7",
    "MultiFrameSingleBitSecondaryCaptureImageStorage": "1.2.840.10008.5.1.4.1.1.7.1",
    "MultiFrameGrayscaleByteSecondaryCaptureImageStorage": "1.2.840.10008.5.1.4.1.1.7.2",
    "MultiFrameGrayscaleWordSecondaryCaptureImageStorage": "1.2.840.10008.5.1.4.1.1.7.3",
    "MultiFrameTrueColorSecondaryCaptureImageStorage": "1.2.840.10008.5.1.4.1.1.7.4",
    "TwelveLeadECGWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.1.1",
    "GeneralECGWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.1.2",
    "AmbulatoryECGWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.1.3",
    "General32bitECGWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.1.4",
    "HemodynamicWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.2.1",
    "CardiacElectrophysiologyWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.3.1",
    "BasicVoiceAudioWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.4.1",
    "GeneralAudioWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.4.2",
    "ArterialPulseWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.5.1",
    "RespiratoryWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.6.1",
    "MultichannelRespiratoryWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.6.2",
    "RoutineScalpElectroencephalogramWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.7.1",
    "ElectromyogramWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.7.2",
    "ElectrooculogramWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.7.3",
    "SleepElectroencephalogramWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.7.4",
    "BodyPositionWaveformStorage": "1.2.840.10008.5.1.4.1.1.9.8.1",
    "WaveformPresentationStateStorage": "1.2.840.10008.5.1.4.1.1.9.100.1",
    "WaveformAcquisitionPresentationStateStorage": "1.2.840.10008.5.1.4.1.1.9.100.2",
    "GrayscaleSoftcopyPresentationStateStorage": "1.2.840.10008.5.1.4.1.1.11.1",
    "ColorSoftcopyPresentationStateStorage": "1.2.840.10008.5.1.4.1.1.11.2",
    "PseudoColorSoftcopyPresentationStageStorage": "1.2.840.10008.5.1.4.1.1.11.3",
    "BlendingSoftcopyPresentationStateStorage": "1.2.840.10008.5.1.4.1.1.11.4",
    "XAXRFGrayscaleSoftcopyPresentationStateStorage": "1.2.840.10008.5.1.4.1.1.11.5",
    "GrayscalePlanarMPRVolumetricPresentationStateStorage": "1.2.840.10008.5.1.4.1.1.11.6",
    "CompositingPlanarMPRVolumetricPresentationStateStorage": "1.2.840.10008.5.1.4.1.1.11.7",
    "AdvancedBlendingPresentationStateStorage": "1.2.840.10008.5.1.4.1.1.11.8",
    "VolumeRenderingVolumetricPresentationStateStorage": "1.2.840.10008.5.1.4.1.1.11.9",
    "SegmentedVolumeRenderingVolumetricPresentationStateStorage": "1.2.840.10008.5.1.4.1.1.11.10",
    "MultipleVolumeRenderingVolumetricPresentationStateStorage": "1.2.840.10008.5.1.4.1.1.11.11",
    "VariableModalityLUTSoftcopyPresentationStageStorage": "1.2.840.10008.5.1.4.1.1.11.12",
    "XRayAngiographicImageStorage": "1.2.840.10008.5.1.4.1.1.12.1",
    "EnhancedXAImageStorage": "1.2.840.10008.5.1.4.1.1.12.1.1",
    "XRayRadiofluoroscopicImageStorage": "1.2.840.10008.5.1.4.1.1.12.2",
    "EnhancedXRFImageStorage": "1.2.840.10008.5.1.4.1.1.12.2.1",
    "XRay3DAngiographicImageStorage": "1.2.840.10008.5.1.4.1.1.13.1.1",
    "XRay3DCraniofacialImageStorage": "1.2.840.10008.5.1.4.1.1.13.1.2",
    "BreastTomosynthesisImageStorage": "1.2.840.10008.5.1.4.1.1.13.1.3",
    "BreastProjectionXRayImageStorageForPresentation": "1.2.840.10008.5.1.4.1.1.13.1.4",
    "BreastProjectionXRayImageStorageForProcessing": "1.2.840.10008.5.1.4.1.1.13.1.5",
    "IntravascularOpticalCoherenceTomographyImageStorageForPresentation": "1.2.840.10008.5.1.4.1.1.14.1",
    "IntravascularOpticalCoherenceTomographyImageStorageForProcessing": "1.2.840.10008.5.1.4.1.1.14.2",
    "NuclearMedicineImageStorage": "1.2.840.10008.5.1.4.1.1.20",
    "ParametricMapStorage": "1.2.840.10008.5.1.4.1.1.30",
    "RawDataStorage": "1.2.840.10008.5.1.4.1.1.66",
    "SpatialRegistrationStorage": "1.2.840.10008.5.1.4.1.1.66.1",
    "SpatialFiducialsStorage": "1.2.840.10008.5.1.4.1.1.66.2",
    "DeformableSpatialRegistrationStorage": "1.2.840.10008.5.1.4.1.1.66.3",
    "SegmentationStorage": "1.2.840.10008.5.1.4.1.1.66.4",
    "SurfaceSegmentationStorage": "1.2.840.10008.5.1.4.1.1.66.5",
    "TractographyResultsStorage": "1.2.840.10008.5.1.4.1.1.66.6",
    "LabelMapSegmentationStorage": "1.2.840.10008.5.1.4.1.1.66.7",
    "HeightMapSegmentationStorage": "1.2.840.10008.5.1.4.1.1.66.8",
    "RealWorldValueMappingStorage": "1.2.840.10008.5.1.4.1.1.67",
    "SurfaceScanMeshStorage": "1.2.840.10008.5.1.4.1.1.68.1",
    "SurfaceScanPointCloudStorage": "1.2.840.10008.5.1.4.1.1.68.2",
    "VLEndoscopicImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.1",
    "VideoEndoscopicImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.1.1",
    "VLMicroscopicImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.2",
    "VideoMicroscopicImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.2.1",
    "VLSlideCoordinatesMicroscopicImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.3",
    "VLPhotographicImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.4",
    "VideoPhotographicImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.4.1",
    "OphthalmicPhotography8BitImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.5.1",
    "OphthalmicPhotography16BitImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.5.2",
    "StereometricRelationshipStorage": "1.2.840.10008.5.1.4.1.1.77.1.5.3",
    "OphthalmicTomographyImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.5.4",
    "WideFieldOphthalmicPhotographyStereographicProjectionImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.5.5",
    "WideFieldOphthalmicPhotography3DCoordinatesImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.5.6",
    "OphthalmicOpticalCoherenceTomographyEnFaceImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.5.7",
    "OphthlamicOpticalCoherenceTomographyBscanVolumeAnalysisStorage": "1.2.840.10008.5.1.4.1.1.77.1.5.8",
    "VLWholeSlideMicroscopyImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.6",
    "DermoscopicPhotographyImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.7",
    "ConfocalMicroscopyImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.8",
    "ConfocalMicroscopyTiledPyramidalImageStorage": "1.2.840.10008.5.1.4.1.1.77.1.9",
    "LensometryMeasurementsStorage": "1.2.840.10008.5.1.4.1.1.78.1",
    "AutorefractionMeasurementsStorage": "1.2.840.10008.5.1.4.1.1.78.2",
    "KeratometryMeasurementsStorage": "1.2.840.10008.5.1.4.1.1.78.3",
    "SubjectiveRefractionMeasurementsStorage": "1.2.840.10008.5.1.4.1.1.78.4",
    "VisualAcuityMeasurementsStorage": "1.2.840.10008.5.1.4.1.1.78.5",
    "SpectaclePrescriptionReportStorage": "1.2.840.10008.5.1.4.1.1.78.6",
    "OphthalmicAxialMeasurementsStorage": "1.2.840.10008.5.1.4.1.1.78.7",
    "IntraocularLensCalculationsStorage": "1.2.840.10008.5.1.4.1.1.78.8",
    "MacularGridThicknessAndVolumeReportStorage": "1.2.840.10008.5.1.4.1.1.79.1",
    "OphthalmicVisualFieldStaticPerimetryMeasurementsStorage": "1.2.840.10008.5.1.4.1.1.80.1",
    "OphthalmicThicknessMapStorage": "1.2.840.10008.5.1.4.1.1.81.1",
    "CornealTopographyMapStorage": "1.2.840.10008.5.1.4.1.1.82.1",
    "BasicTextSRStorage": "1.2.840.10008.5.1.4.1.1.88.11",
    "EnhancedSRStorage": "1.2.840.10008.5.1.4.1.1.88.22",
    "ComprehensiveSRStorage": "1.2.840.10008.5.1.4.1.1.88.33",
    "Comprehensive3DSRStorage": "1.2.840.10008.5.1.4.1.1.88.34",
    "ExtensibleSRStorage": "1.2.840.10008.5.1.4.1.1.88.35",
    "ProcedureLogStorage": "1.2.840.10008.5.1.4.1.1.88.40",
    "MammographyCADSRStorage": "1.2.840.10008.5.1.4.1.1.88.50",
    "KeyObjectSelectionDocumentStorage": "1.2.840.10008.5.1.4.1.1.88.59",
    "ChestCADSRStorage": "1.2.840.10008.5.1.4.1.1.88.65",
    "XRayRadiationDoseSRStorage": "1.2.840.10008.5.1.4.1.1.88.67",
    "RadiopharmaceuticalRadiationDoseSRStorage": "1.2.840.10008.5.1.4.1.1.88.68",
    "ColonCADSRStorage": "1.2.840.10008.5.1.4.1.1.88.69",
    "ImplantationPlanSRStorage": "1.2.840.10008.5.1.4.1.1.88.70",
    "AcquisitionContextSRStorage": "1.2.840.10008.5.1.4.1.1.88.71",
    "SimplifiedAdultEchoSRStorage": "1.2.840.10008.5.1.4.1.1.88.72",
    "PatientRadiationDoseSRStorage": "1.2.840.10008.5.1.4.1.1.88.73",
    "PlannedImagingAgentAdministrationSRStorage": "1.2.840.10008.5.1.4.1.1.88.74",
    "PerformedImagingAgentAdministrationSRStorage": "1.2.840.10008.5.1.4.1.1.88.75",
    "EnhancedXRayRadiationDoseSRStorage": "1.2.840.10008.5.1.4.1.1.88.76",
    "WaveformAnnotationSRStorage": "1.2.840.10008.5.1.4.1.1.88.77",
    "ContentAssessmentResultsStorage": "1.2.840.10008.5.1.4.1.1.90.1",
    "MicroscopyBulkSimpleAnnotationsStorage": "1.2.840.10008.5.1.4.1.1.91.1",
    "EncapsulatedPDFStorage": "1.2.840.10008.5.1.4.1.1.104.1",
    "EncapsulatedCDAStorage": "1.2.840.10008.5.1.4.1.1.104.2",
    "EncapsulatedSTLStorage": "1.2.840.10008.5.1.4.1.1.104.3",
    "EncapsulatedOBJStorage": "1.2.840.10008.5.1.4.1.1.104.4",
    "EncapsulatedMTLStorage": "1.2.840.10008.5.1.4.1.1.104.5",
    "PositronEmissionTomographyImageStorage": "1.2.840.10008.5.1.4.1.1.128",
    "LegacyConvertedEnhancedPETImageStorage": "1.2.840.10008.5.1.4.1.1.128.1",
    "EnhancedPETImageStorage": "1.2.840.10008.5.1.4.1.1.130",
    "BasicStructuredDisplayStorage": "1.2.840.10008.5.1.4.1.1.131",
    "CTPerformedProcedureProtocolStorage": "1.2.840.10008.5.1.4.1.1.200.2",
    "XAPerformedProcedureProtocolStorage": "1.2.840.10008.5.1.4.1.1.200.8",
    "RTImageStorage": "1.2.840.10008.5.1.4.1.1.481.1",
    "RTDoseStorage": "1.2.840.10008.5.1.4.1.1.481.2",
    "RTStructureSetStorage": "1.2.840.10008.5.1.4.1.1.481.3",
    "RTBeamsTreatmentRecordStorage": "1.2.840.10008.5.1.4.1.1.481.4",
    "RTPlanStorage": "1.2.840.10008.5.1.4.1.1.481.5",
    "RTBrachyTreatmentRecordStorage": "1.2.840.10008.5.1.4.1.1.481.6",
    "RTTreatmentSummaryRecordStorage": "1.2.840.10008.5.1.4.1.1.481.7",
    "RTIonPlanStorage": "1.2.840.10008.5.1.4.1.1.481.8",
    "RTIonBeamsTreatmentRecordStorage": "1.2.840.10008.5.1.4.1.1.481.9",
    "RTPhysicianIntentStorage": "1.2.840.10008.5.1.4.1.1.481.10",
    "RTSegmentAnnotationStorage": "1.2.840.10008.5.1.4.1.1.481.11",
    "RTRadiationSetStorage": "1.2.840.10008.5.1.4.1.1.481.12",
    "CArmPhotonElectronRadiationStorage": "1.2.840.10008.5.1.4.1.1.481.13",
    "TomotherapeuticRadiationStorage": "1.2.840.10008.5.1.4.1.1.481.14",
    "RoboticArmRadiationStorage": "1.2.840.10008.5.1.4.1.1.481.15",
    "RTRadiationRecordSetStorage": "1.2.840.10008.5.1.4.1.1.481.16",
    "RTRadiationSalvageRecordStorage": "1.2.840.10008.5.1.4.1.1.481.17",
    "TomotherapeuticRadiationRecordStorage": "1.2.840.10008.5.1.4.1.1.481.18",
    "CArmPhotonElectronRadiationRecordStorage": "1.2.840.10008.5.1.4.1.1.481.19",
    "RoboticArmRadiationRecordStorage": "1.2.840.10008.5.1.4.1.1.481.20",
    "RTRadiationSetDeliveryInstructionStorage": "1.2.840.10008.5.1.4.1.1.481.21",
    "RTTreatmentPreparationStorage": "1.2.840.10008.5.1.4.1.1.481.22",
    "EnhancedRTImageStorage": "1.2.840.10008.5.1.4.1.1.481.23",
    "EnhancedContinuousRTImageStorage": "1.2.840.10008.5.1.4.1.1.481.24",
    "RTPatientPositionAcquisitionInstructionStorage": "1.2.840.10008.5.1.4.1.1.481.25",
    "RTBeamsDeliveryInstructionStorage": "1.2.840.10008.5.1.4.34.7",
    "RTBrachyApplicationSetupDeliveryInstructionsStorage": "1.2.840.10008.5.1.4.34.10",
}

APPLICATION_EVENT_LOGGING: dict[str, str] = {
    "ProceduralEventLogging": "1.2.840.10008.1.40",
    "SubstanceAdministrationLogging": "1.2.840.10008.1.42",
}

BASIC_WORKLIST: dict[str, str] = {
    "ModalityWorklistInformationFind": "1.2.840.10008.5.1.4.31",
}

COLOR_PALETTE: dict[str, str] = {
    "ColorPaletteInformationModelFind": "1.2.840.10008.5.1.4.39.2",
    "ColorPaletteInformationModelMove": "1.2.840.10008.5.1.4.39.3",
    "ColorPaletteInformationModelGet": "1.2.840.10008.5.1.4.39.4",
}

DEFINED_PROCEDURE_PROTOCOL: dict[str, str] = {
    "DefinedProcedureProtocolInformationModelFind": "1.2.840.10008.5.1.4.20.1",
    "DefinedProcedureProtocolInformationModelMove": "1.2.840.10008.5.1.4.20.2",
    "DefinedProcedureProtocolInformationModelGet": "1.2.840.10008.5.1.4.20.3",
}

DISPLAY_SYSTEM: dict[str, str] = {
    "DisplaySystem": "1.2.840.10008.5.1.1.40",
}

HANGING_PROTOCOL: dict[str, str] = {
    "HangingProtocolInformationModelFind": "1.2.840.10008.5.1.4.38.2",
    "HangingProtocolInformationModelMove": "1.2.840.10008.5.1.4.38.3",
    "HangingProtocolInformationModelGet": "1.2.840.10008.5.1.4.38.4",
}

IMPLANT_TEMPLATE: dict[str, str] = {
    "GenericImplantTemplateInformationModelFind": "1.2.840.10008.5.1.4.43.2",
    "GenericImplantTemplateInformationModelMove": "1.2.840.10008.5.1.4.43.3",
    "GenericImplantTemplateInformationModelGet": "1.2.840.10008.5.1.4.43.4",
    "ImplantAssemblyTemplateInformationModelFind": "1.2.840.10008.5.1.4.44.2",
    "ImplantAssemblyTemplateInformationModelMove": "1.2.840.10008.5.1.4.44.3",
    "ImplantAssemblyTemplateInformationModelGet": "1.2.840.10008.5.1.4.44.4",
    "ImplantTemplateGroupInformationModelFind": "1.2.840.10008.5.1.4.45.2",
    "ImplantTemplateGroupInformationModelMove": "1.2.840.10008.5.1.4.45.3",
    "ImplantTemplateGroupInformationModelGet": "1.2.840.10008.5.1.4.45.4",
}

INSTANCE_AVAILABILITY: dict[str, str] = {
    "InstanceAvailabilityNotification": "1.2.840.10008.5.1.4.33",
}

INVENTORY: dict[str, str] = {
    "InventoryFind": "1.2.840.10008.5.1.4.1.1.201.2",
    "InventoryMove": "1.2.840.10008.5.1.4.1.1.201.3",
    "InventoryGet": "1.2.840.10008.5.1.4.1.1.201.4",
}

MEDIA_CREATION: dict[str, str] = {
    "MediaCreationManagement": "1.2.840.10008.5.1.1.33",
}

MEDIA_STORAGE: dict[str, str] = {
    "MediaStorageDirectoryStorage": "1.2.840.10008.1.3.10",
}

NON_PATIENT_OBJECT: dict[str, str] = {
    "CTDefinedProcedureProtocolStorage": "1.2.840.10008.5.1.4.1.1.200.1",
    "ProtocolApprovalStorage": "1.2.840.10008.5.1.4.1.1.200.3",
    "XADefinedProcedureProtocolStorage": "1.2.840.10008.5.1.4.1.1.200.7",
    "InventoryStorage": "1.2.840.10008.5.1.4.1.1.201.1",
    "HangingProtocolStorage": "1.2.840.10008.5.1.4.38.1",
    "ColorPaletteStorage": "1.2.840.10008.5.1.4.39.1",
    "GenericImplantTemplateStorage": "1.2.840.10008.5.1.4.43.1",
    "ImplantAssemblyTemplateStorage": "1.2.840.10008.5.1.4.44.1",
    "ImplantTemplateGroupStorage": "1.2.840.10008.5.1.4.45.1",
}

PRINT_MANAGEMENT: dict[str, str] = {
    "BasicFilmSession": "1.2.840.10008.5.1.1.1",
    "BasicFilmBox": "1.2.840.10008.5.1.1.2",
    "BasicGrayscaleImageBox": "1.2.840.10008.5.1.1.4",
    "BasicColorImageBox": "1.2.840.10008.5.1.1.4.1",
    "BasicGrayscalePrintManagementMeta": "1.2.840.10008.5.1.1.9",
    "PrintJob": "1.2.840.10008.5.1.1.14",
    "BasicAnnotationBox": "1.2.840.10008.5.1.1.15",
    "Printer": "1.2.840.10008.5.1.1.16",
    "PrinterConfigurationRetrieval": "1.2.840.10008.5.1.1.16.376",
    "BasicColorPrintManagementMeta": "1.2.840.10008.5.1.1.18",
    "PresentationLUT": "1.2.840.10008.5.1.1.23",
}

PROCEDURE_STEP: dict[str, str] = {
    "ModalityPerformedProcedureStep": "1.2.840.10008.3.1.2.3.3",
    "ModalityPerformedProcedureStepRetrieve": "1.2.840.10008.3.1.2.3.4",
    "ModalityPerformedProcedureStepNotification": "1.2.840.10008.3.1.2.3.5",
}

PROTOCOL_APPROVAL: dict[str, str] = {
    "ProtocolApprovalInformationModelFind": "1.2.840.10008.5.1.4.1.1.200.4",
    "ProtocolApprovalInformationModelMove": "1.2.840.10008.5.1.4.1.1.200.5",
    "ProtocolApprovalInformationModelGet": "1.2.840.10008.5.1.4.1.1.200.6",
}

RELEVANT_PATIENT: dict[str, str] = {
    "GeneralRelevantPatientInformationQuery": "1.2.840.10008.5.1.4.37.1",
    "BreastImagingRelevantPatientInformationQuery": "1.2.840.10008.5.1.4.37.2",
    "CardiacRelevantPatientInformationQuery": "1.2.840.10008.5.1.4.37.3",
}

RT_MACHINE_VERIFICATION: dict[str, str] = {
    "RTConventionalMachineVerification": "1.2.840.10008.5.1.4.34.8",
    "RTIonMachineVerification": "1.2.840.10008.5.1.4.34.9",
}

STORAGE_COMMITMENT: dict[str, str] = {
    "StorageCommitmentPushModel": "1.2.840.10008.1.20.1",
}

STORAGE_MANAGEMENT: dict[str, str] = {
    "InventoryCreation": "1.2.840.10008.5.1.4.1.1.201.5",
}

SUBSTANCE_ADMINISTRATION: dict[str, str] = {
    "ProductCharacteristicsQuery": "1.2.840.10008.5.1.4.41",
    "SubstanceApprovalQuery": "1.2.840.10008.5.1.4.42",
}

UNIFIED_PROCEDURE_STEP: dict[str, str] = {
    "UnifiedProcedureStepPush": "1.2.840.10008.5.1.4.34.6.1",
    "UnifiedProcedureStepWatch": "1.2.840.10008.5.1.4.34.6.2",
    "UnifiedProcedureStepPull": "1.2.840.10008.5.1.4.34.6.3",
    "UnifiedProcedureStepEvent": "1.2.840.10008.5.1.4.34.6.4",
    "UnifiedProcedureStepQuery": "1.2.840.10008.5.1.4.34.6.5",
}

#: Storage classes beyond the 120 that fit into one association together with others.
LESS_COMMON_STORAGE: frozenset[str] = frozenset(
    {
        "AcquisitionContextSRStorage",
        "AdvancedBlendingPresentationStateStorage",
        "BodyPositionWaveformStorage",
        "BreastProjectionXRayImageStorageForPresentation",
        "BreastProjectionXRayImageStorageForProcessing",
        "CArmPhotonElectronRadiationRecordStorage",
        "CArmPhotonElectronRadiationStorage",
        "CTPerformedProcedureProtocolStorage",
        "CompositingPlanarMPRVolumetricPresentationStateStorage",
        "ConfocalMicroscopyImageStorage",
        "ConfocalMicroscopyTiledPyramidalImageStorage",
        "ContentAssessmentResultsStorage",
        "CornealTopographyMapStorage",
        "DermoscopicPhotographyImageStorage",
        "ElectromyogramWaveformStorage",
        "ElectrooculogramWaveformStorage",
        "EncapsulatedMTLStorage",
        "EncapsulatedOBJStorage",
        "EncapsulatedSTLStorage",
        "EnhancedContinuousRTImageStorage",
        "EnhancedRTImageStorage",
        "EnhancedXRayRadiationDoseSRStorage",
        "ExtensibleSRStorage",
        "General32bitECGWaveformStorage",
        "GrayscalePlanarMPRVolumetricPresentationStateStorage",
        "HeightMapSegmentationStorage",
        "LabelMapSegmentationStorage",
        "MicroscopyBulkSimpleAnnotationsStorage",
        "MultichannelRespiratoryWaveformStorage",
        "MultipleVolumeRenderingVolumetricPresentationStateStorage",
        "OphthalmicOpticalCoherenceTomographyEnFaceImageStorage",
        "OphthlamicOpticalCoherenceTomographyBscanVolumeAnalysisStorage",
        "ParametricMapStorage",
        "PatientRadiationDoseSRStorage",
        "PerformedImagingAgentAdministrationSRStorage",
        "PhotoacousticImageStorage",
        "PlannedImagingAgentAdministrationSRStorage",
        "RTBrachyApplicationSetupDeliveryInstructionsStorage",
        "RTPatientPositionAcquisitionInstructionStorage",
        "RTPhysicianIntentStorage",
        "RTRadiationRecordSetStorage",
        "RTRadiationSalvageRecordStorage",
        "RTRadiationSetDeliveryInstructionStorage",
        "RTRadiationSetStorage",
        "RTSegmentAnnotationStorage",
        "RTTreatmentPreparationStorage",
        "RadiopharmaceuticalRadiationDoseSRStorage",
        "RoboticArmRadiationRecordStorage",
        "RoboticArmRadiationStorage",
        "RoutineScalpElectroencephalogramWaveformStorage",
        "SegmentedVolumeRenderingVolumetricPresentationStateStorage",
        "SimplifiedAdultEchoSRStorage",
        "SleepElectroencephalogramWaveformStorage",
        "TomotherapeuticRadiationRecordStorage",
        "TomotherapeuticRadiationStorage",
        "TractographyResultsStorage",
        "VariableModalityLUTSoftcopyPresentationStageStorage",
        "VolumeRenderingVolumetricPresentationStateStorage",
        "WaveformAcquisitionPresentationStateStorage",
        "WaveformAnnotationSRStorage",
        "WaveformPresentationStateStorage",
        "WideFieldOphthalmicPhotography3DCoordinatesImageStorage",
        "WideFieldOphthalmicPhotographyStereographicProjectionImageStorage",
        "XAPerformedProcedureProtocolStorage",
    }
)

#: Well-known SOP instances (PS3.6 Table A-1).
INSTANCES: dict[str, str] = {
    "DisplaySystemInstance": "1.2.840.10008.5.1.1.40.1",
    "PrinterConfigurationRetrievalInstance": "1.2.840.10008.5.1.1.17.376",
    "PrinterInstance": "1.2.840.10008.5.1.1.17",
    "ProceduralEventLoggingInstance": "1.2.840.10008.1.40.1",
    "StorageCommitmentPushModelInstance": "1.2.840.10008.1.20.1.1",
    "StorageManagementInstance": "1.2.840.10008.5.1.4.1.1.201.1.1",
    "SubstanceAdministrationLoggingInstance": "1.2.840.10008.1.42.1",
    "UPSFilteredGlobalSubscriptionInstance": "1.2.840.10008.5.1.4.34.5.1",
    "UPSGlobalSubscriptionInstance": "1.2.840.10008.5.1.4.34.5",
}

#: Retired storage classes that old equipment still sends.
RETIRED_STORAGE: dict[str, str] = {
    "StoredPrintStorage": "1.2.840.10008.5.1.1.27",
    "HardcopyGrayscaleImageStorage": "1.2.840.10008.5.1.1.29",
    "HardcopyColorImageStorage": "1.2.840.10008.5.1.1.30",
    "StandaloneModalityLUTStorage": "1.2.840.10008.5.1.4.1.1.10",
    "StandaloneVOILUTStorage": "1.2.840.10008.5.1.4.1.1.11",
    "XRayAngiographicBiPlaneImageStorage": "1.2.840.10008.5.1.4.1.1.12.3",
    "StandalonePETCurveStorage": "1.2.840.10008.5.1.4.1.1.129",
    "UltrasoundMultiFrameImageStorageRetired": "1.2.840.10008.5.1.4.1.1.3",
    "NuclearMedicineImageStorageRetired": "1.2.840.10008.5.1.4.1.1.5",
    "UltrasoundImageStorageRetired": "1.2.840.10008.5.1.4.1.1.6",
    "VLImageStorageTrial": "1.2.840.10008.5.1.4.1.1.77.1",
    "VLMultiFrameImageStorageTrial": "1.2.840.10008.5.1.4.1.1.77.2",
    "StandaloneOverlayStorage": "1.2.840.10008.5.1.4.1.1.8",
    "StandaloneCurveStorage": "1.2.840.10008.5.1.4.1.1.9",
}
